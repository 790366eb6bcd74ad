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

"""Many runs of one bundle from one file: planned, done several at once, taken up again, and summed up."""

from __future__ import annotations

from monai_ssl.sweep.conduct import SweepOutcome, run_sweep
from monai_ssl.sweep.grid import Scenario, Sweep, read_sweep
from monai_ssl.sweep.plan import SweepPlan, plan_sweep
from monai_ssl.sweep.runs import SweepRun
from monai_ssl.sweep.slots import Slot, sweep_slots
from monai_ssl.sweep.summary import SweepSummary, summarise_sweep

__all__ = [
    "Scenario",
    "Slot",
    "Sweep",
    "SweepOutcome",
    "SweepPlan",
    "SweepRun",
    "SweepSummary",
    "plan_sweep",
    "read_sweep",
    "run_sweep",
    "summarise_sweep",
    "sweep_slots",
]
