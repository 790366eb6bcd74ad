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

"""The command line: `python -m monai_ssl COMMAND`, or `monai-ssl COMMAND`."""

from __future__ import annotations

from monai_ssl.cli.application import app
from monai_ssl.cli.check import check_command
from monai_ssl.cli.checkpoints import checkpoints_command
from monai_ssl.cli.compare import compare_command
from monai_ssl.cli.export import export_command
from monai_ssl.cli.phantoms import phantoms_command
from monai_ssl.cli.reducing import reduce_command
from monai_ssl.cli.saliency import saliency_command
from monai_ssl.cli.slicing import slice_command
from monai_ssl.cli.sweep import RUN_SETTINGS, sweep_command

__all__ = ["app"]

# The order of the help.
app.command("check")(check_command)
app.command("slice")(slice_command)
app.command("reduce")(reduce_command)
app.command("export")(export_command)
app.command("phantoms")(phantoms_command)
app.command("checkpoints")(checkpoints_command)
app.command("sweep", context_settings=RUN_SETTINGS)(sweep_command)
app.command("compare")(compare_command)
app.command("saliency")(saliency_command)
