"""The pytest plugin by another name: `-p corral.testing.plugin`, for who turns off plugin autoloading.

The plugin itself is the module `pytest_corral`, beside the package; why, it says there.
"""

pytest_plugins = ["pytest_corral"]
