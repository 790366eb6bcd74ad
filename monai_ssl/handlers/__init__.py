# Copyright (c) monai_ssl contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""ignite handlers of the bundles."""

from __future__ import annotations

from monai_ssl.handlers.early_stop import EarlyStop
from monai_ssl.handlers.epoch_seeding import EpochSeeding
from monai_ssl.handlers.evaluation_saver import EvaluationSaver
from monai_ssl.handlers.first_batch_picture import FirstBatchPicture
from monai_ssl.handlers.freeze import Freeze
from monai_ssl.handlers.metrics_recorder import MetricsRecorder
from monai_ssl.handlers.model_saver import ModelSaver, better, lower
from monai_ssl.handlers.optimizer_steps import OpenQueue, StepSchedule
from monai_ssl.handlers.output_savers import EmbeddingSaver, PredictionSaver
from monai_ssl.handlers.probes import Probes
from monai_ssl.handlers.progress import RunProgress
from monai_ssl.handlers.representation_monitor import RepresentationMonitor
from monai_ssl.handlers.resumable_checkpoint import ResumableCheckpoint

__all__ = [
    "EarlyStop",
    "EmbeddingSaver",
    "EpochSeeding",
    "EvaluationSaver",
    "FirstBatchPicture",
    "Freeze",
    "MetricsRecorder",
    "ModelSaver",
    "OpenQueue",
    "PredictionSaver",
    "Probes",
    "RepresentationMonitor",
    "ResumableCheckpoint",
    "RunProgress",
    "StepSchedule",
    "better",
    "lower",
]
