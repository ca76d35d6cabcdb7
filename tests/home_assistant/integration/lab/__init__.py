"""An invented house for the tests of netbox-agent.

It puts the devices, entities and trackers that `lab.json` in the configuration folder
lists into Home Assistant's own registries, by the ways that any integration uses. Each
config entry is one part of the house.
"""

import json
import pathlib

from homeassistant.helpers import device_registry as dr

DOMAIN = "lab"


async def async_setup_entry(hass, entry):
    path = pathlib.Path(hass.config.path("lab.json"))
    house = json.loads(await hass.async_add_executor_job(path.read_text))
    part = house[entry.data["part"]]
    hass.data.setdefault(DOMAIN, {})[entry.entry_id] = part
    registry = dr.async_get(hass)
    for device in part["devices"]:
        known = {key: value for key, value in device.items() if key != "entities"}
        for key in ("connections", "identifiers"):
            known[key] = {tuple(pair) for pair in known.get(key, [])}
        if "via_device" in known:
            known["via_device"] = tuple(known["via_device"])
        if "entry_type" in known:
            known["entry_type"] = dr.DeviceEntryType(known["entry_type"])
        registry.async_get_or_create(config_entry_id=entry.entry_id, **known)
    await hass.config_entries.async_forward_entry_setups(entry, platforms(part))
    return True


async def async_unload_entry(hass, entry):
    part = hass.data[DOMAIN].pop(entry.entry_id)
    return await hass.config_entries.async_unload_platforms(entry, platforms(part))


async def async_remove_config_entry_device(hass, entry, device):
    """A person may delete any device."""
    return True


def platforms(part):
    """The platforms that a part has entities of."""
    of_devices = {one for device in part["devices"] for one in device.get("entities", {})}
    return sorted(of_devices | ({"device_tracker"} if part.get("trackers") else set()))


def entities(hass, entry, platform, make):
    """The entities of one platform: so many for each device."""
    return [
        make(device, number)
        for device in hass.data[DOMAIN][entry.entry_id]["devices"]
        for number in range(device.get("entities", {}).get(platform, 0))
    ]


class OfDevice:
    """What all entities have in common."""

    _attr_should_poll = False
    _attr_has_entity_name = True

    def __init__(self, device, number):
        identifiers = {tuple(pair) for pair in device["identifiers"]}
        self._attr_name = f"Part {number}"
        self._attr_unique_id = f"{sorted(identifiers)[0][1]}-{type(self).__name__}-{number}"
        self._attr_device_info = {"identifiers": identifiers}
