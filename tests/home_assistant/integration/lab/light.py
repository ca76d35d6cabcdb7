from homeassistant.components.light import ColorMode, LightEntity

from . import OfDevice, entities


class Lamp(OfDevice, LightEntity):
    _attr_color_mode = ColorMode.ONOFF
    _attr_supported_color_modes = {ColorMode.ONOFF}
    _attr_is_on = True


async def async_setup_entry(hass, entry, add):
    add(entities(hass, entry, "light", Lamp))
