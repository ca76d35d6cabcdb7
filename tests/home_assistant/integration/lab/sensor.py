from homeassistant.components.sensor import SensorEntity

from . import OfDevice, entities


class Reading(OfDevice, SensorEntity):
    _attr_native_value = 21


async def async_setup_entry(hass, entry, add):
    add(entities(hass, entry, "sensor", Reading))
