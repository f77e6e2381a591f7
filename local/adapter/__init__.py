"""Deploys the template to the emulator so that what runs is the app: see docs/decisions for why it is needed.

`build` runs SAM, `translate` turns the built template into plain CloudFormation, `emulator_gaps`
changes what the emulator cannot take, `sandbox` runs each function under the real runtime client, `deploy` creates or
updates the stack and sets what the emulator's CloudFormation drops.
"""
