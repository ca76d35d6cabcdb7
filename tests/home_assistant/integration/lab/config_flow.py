"""Adds a part of the house; its name is all there is to set."""

import voluptuous as vol

from homeassistant import config_entries

SCHEMA = vol.Schema({vol.Required("part"): str})


class LabFlow(config_entries.ConfigFlow, domain="lab"):
    """One step, started by a test."""

    VERSION = 1

    async def async_step_user(self, user_input=None):
        if user_input is None:
            return self.async_show_form(step_id="user", data_schema=SCHEMA)
        return self.async_create_entry(title=user_input["part"], data=user_input)
