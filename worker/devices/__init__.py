"""The devices of this machine: GPUs and shares of the CPU's cores, which of them work, and that none is shared."""

from worker.devices.choose import Machine, Placement, UnknownDevice, find_devices
from worker.devices.device import Device, alike_name, device_name

__all__ = ["Device", "Machine", "Placement", "UnknownDevice", "alike_name", "device_name", "find_devices"]
