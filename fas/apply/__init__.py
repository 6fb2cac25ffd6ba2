"""What is done with a trained model: predict, export, ONNX, the demo; nothing here trains or scores a set."""
