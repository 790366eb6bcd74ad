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

"""Reports: run folders or a slice store in, one self-contained page out."""

from __future__ import annotations

from monai_ssl.report.build import build_report, compare_runs
from monai_ssl.report.reduction import build_reduction_report
from monai_ssl.report.sweep import build_sweep_report

__all__ = ["build_reduction_report", "build_report", "build_sweep_report", "compare_runs"]
