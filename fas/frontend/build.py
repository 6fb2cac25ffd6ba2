"""From an encoder's settings to the encoder."""

from pathlib import Path
from typing import Any

from fas import frontend


def build(
    settings: Any, model: Path | None, device: str | None = None, allow_pipes: bool = False
) -> frontend.Frontend:
    """The frontend of a conf; imports only what it needs. device: cuda or cpu, cuda where there is one if None."""
    if isinstance(settings, frontend.SPMTextConf):
        from fas.frontend.spm_text import SPMTextFrontend

        return SPMTextFrontend(settings, model)
    import torch

    from fas import threads

    threads.strict()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(settings, frontend.S3PRLConf):
        from fas.frontend.s3prl import S3PRLFrontend

        return S3PRLFrontend(settings, device, allow_pipes)
    if isinstance(settings, frontend.TransformersConf):
        from fas.frontend.hf_audio import TransformersFrontend

        return TransformersFrontend(settings, device, allow_pipes)
    if isinstance(settings, frontend.MingTokConf):
        from fas.frontend.mingtok import MingTokFrontend

        return MingTokFrontend(settings, device, allow_pipes)
    if isinstance(settings, frontend.FunASRConf):
        from fas.frontend.funasr import FunASRFrontend

        return FunASRFrontend(settings, device, allow_pipes)
    if isinstance(settings, frontend.HFTextConf):
        from fas.frontend.hf_text import HFTextFrontend

        return HFTextFrontend(settings, device)
    from fas.frontend.whisper import WhisperFrontend

    return WhisperFrontend(settings, device, allow_pipes)
