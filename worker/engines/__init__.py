"""Engines: given a batch of token ids and masks, logits."""

import sys

# OpenVINO and NNCF tell their makers how they are used, from a fork of the process, unless this package is missing.
# Whoever classifies reviews was not asked.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
