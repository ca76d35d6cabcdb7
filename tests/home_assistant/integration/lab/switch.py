from homeassistant.components.switch import SwitchEntity

from . import OfDevice, entities


class Relay(OfDevice, SwitchEntity):
    _attr_is_on = True


async def async_setup_entry(hass, entry, add):
    add(entities(hass, entry, "switch", Relay))
