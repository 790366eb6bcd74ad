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

"""What all tests need of the process that they run in."""

from __future__ import annotations

import signal


def pytest_configure():
    # A shell ignores SIGINT in what it starts in the background, and all processes of the tests of Ctrl-C would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
