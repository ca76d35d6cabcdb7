from homeassistant.components.device_tracker import SourceType
from homeassistant.components.device_tracker.config_entry import ScannerEntity

from . import DOMAIN


class Client(ScannerEntity):
    """A client, as a router's integration tells of it."""

    _attr_should_poll = False

    def __init__(self, client):
        self._client = client
        self._attr_name = client["name"]

    @property
    def unique_id(self):
        return self._client["mac"]

    @property
    def source_type(self):
        return SourceType.ROUTER

    @property
    def ip_address(self):
        return self._client.get("ip")

    @property
    def mac_address(self):
        return self._client["mac"]

    @property
    def hostname(self):
        return self._client.get("host")

    @property
    def is_connected(self):
        return self._client.get("home", True)

    @property
    def entity_registry_enabled_default(self):
        return True


async def async_setup_entry(hass, entry, add):
    add([Client(client) for client in hass.data[DOMAIN][entry.entry_id]["trackers"]])
