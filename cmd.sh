# shellcheck shell=bash
# Where jobs run: FAS_ENGINE=local (this machine, the default), slurm or sge; see docs/cluster.md.
# A launcher is called as Kaldi's are: $cmd [--mem 8G] [--num-threads 4] [--gpu 1] JOB=1:$nj log/x.JOB.log command ...
# A launcher is a list of words: a space within one stands behind a backslash. Put your own in its place (run.pl, queue.pl, slurm.pl); options of theirs may stand behind the name.

case ${FAS_ENGINE:-local} in
  local) cpu_cmd="$(as_word "$FAS_PYTHON") $(as_word "$FAS_ROOT")/utils/run.py" ;;
  slurm | sge) cpu_cmd="$(as_word "$FAS_PYTHON") $(as_word "$FAS_ROOT")/utils/$FAS_ENGINE.py" ;;
  *) echo "cmd.sh: FAS_ENGINE is local, slurm or sge, not $FAS_ENGINE" >&2; exit 2 ;;
esac
export cpu_cmd                    # data, text, training and scoring
export gpu_cmd="$cpu_cmd --gpu 1" # encoders
