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

"""
What a bundle checks before it works: that every override is known, and that the data and the model fit the settings.

A bundle's configuration calls these. An error for the user is logged and leaves by `SystemExit(2)`, the one exception
that MONAI's configuration parser passes on without wrapping it into a traceback.
"""

from monai_ssl.preflight.check import check, setting_problems
from monai_ssl.preflight.command_line import bundle_root, hint_if_unknown, refuse_unknown_overrides
from monai_ssl.preflight.input import ExpectedInput, expected_input, per_channel
from monai_ssl.preflight.refusal import derived, refuse, refuse_run_folder
from monai_ssl.preflight.start import load_start
from monai_ssl.preflight.trained import load_trained
from monai_ssl.preflight.values import recorded_window, values_of

__all__ = [
    "ExpectedInput",
    "bundle_root",
    "check",
    "derived",
    "expected_input",
    "hint_if_unknown",
    "load_start",
    "load_trained",
    "per_channel",
    "recorded_window",
    "refuse",
    "refuse_run_folder",
    "refuse_unknown_overrides",
    "setting_problems",
    "values_of",
]
