//! The words that choice fields take, with their labels.

use crate::netbox::model::{Choice, choice, choice_since};
use crate::netbox::version::Version;

pub(super) const SITE_STATUS: &[Choice] = &[
    choice("planned", "Planned"),
    choice("staging", "Staging"),
    choice("active", "Active"),
    choice("decommissioning", "Decommissioning"),
    choice("retired", "Retired"),
];

pub(super) const CLUSTER_STATUS: &[Choice] = &[
    choice("planned", "Planned"),
    choice("staging", "Staging"),
    choice("active", "Active"),
    choice("decommissioning", "Decommissioning"),
    choice("offline", "Offline"),
];

pub(super) const DEVICE_STATUS: &[Choice] = &[
    choice("offline", "Offline"),
    choice("active", "Active"),
    choice("planned", "Planned"),
    choice("staged", "Staged"),
    choice("failed", "Failed"),
    choice("inventory", "Inventory"),
    choice("decommissioning", "Decommissioning"),
];

pub(super) const VM_STATUS: &[Choice] = &[
    choice("offline", "Offline"),
    choice("active", "Active"),
    choice("planned", "Planned"),
    choice("staged", "Staged"),
    choice("failed", "Failed"),
    choice("decommissioning", "Decommissioning"),
    choice_since(Version::V4_2, "paused", "Paused"),
];

pub(super) const ITEM_STATUS: &[Choice] = &[
    choice("offline", "Offline"),
    choice("active", "Active"),
    choice("planned", "Planned"),
    choice("staged", "Staged"),
    choice("failed", "Failed"),
    choice("decommissioning", "Decommissioning"),
];

pub(super) const VLAN_STATUS: &[Choice] = &[
    choice("active", "Active"),
    choice("reserved", "Reserved"),
    choice("deprecated", "Deprecated"),
];

pub(super) const PREFIX_STATUS: &[Choice] = &[
    choice("container", "Container"),
    choice("active", "Active"),
    choice("reserved", "Reserved"),
    choice("deprecated", "Deprecated"),
];

pub(super) const ADDRESS_STATUS: &[Choice] = &[
    choice("active", "Active"),
    choice("reserved", "Reserved"),
    choice("deprecated", "Deprecated"),
    choice("dhcp", "DHCP"),
    choice("slaac", "SLAAC"),
];

pub(super) const ADDRESS_ROLE: &[Choice] = &[
    choice("loopback", "Loopback"),
    choice("secondary", "Secondary"),
    choice("anycast", "Anycast"),
    choice("vip", "VIP"),
    choice("vrrp", "VRRP"),
    choice("hsrp", "HSRP"),
    choice("glbp", "GLBP"),
    choice("carp", "CARP"),
];

pub(super) const PROTOCOL: &[Choice] =
    &[choice("tcp", "TCP"), choice("udp", "UDP"), choice("sctp", "SCTP")];

pub(super) const MODE: &[Choice] = &[
    choice("access", "Access"),
    choice("tagged", "Tagged"),
    choice("tagged-all", "Tagged (All)"),
    choice_since(Version::V4_2, "q-in-q", "Q-in-Q (802.1ad)"),
];

pub(super) const DUPLEX: &[Choice] =
    &[choice("half", "Half"), choice("full", "Full"), choice("auto", "Auto")];

pub(super) const START_ON_BOOT: &[Choice] =
    &[choice("on", "On"), choice("off", "Off"), choice("laststate", "Last State")];

pub(super) const CABLE_STATUS: &[Choice] = &[
    choice("connected", "Connected"),
    choice("planned", "Planned"),
    choice("decommissioning", "Decommissioning"),
];

pub(super) const LENGTH_UNIT: &[Choice] = &[
    choice("km", "Kilometers"),
    choice("m", "Meters"),
    choice("cm", "Centimeters"),
    choice("mi", "Miles"),
    choice("ft", "Feet"),
    choice("in", "Inches"),
];

pub(super) const CUSTOM_FIELD_TYPE: &[Choice] = &[
    choice("text", "Text"),
    choice("longtext", "Text (long)"),
    choice("integer", "Integer"),
    choice("decimal", "Decimal"),
    choice("boolean", "Boolean (true/false)"),
    choice("date", "Date"),
    choice("datetime", "Date & time"),
    choice("url", "URL"),
    choice("json", "JSON"),
    choice("select", "Selection"),
    choice("multiselect", "Multiple selection"),
    choice("object", "Object"),
    choice("multiobject", "Multiple objects"),
];

pub(super) const FILTER_LOGIC: &[Choice] =
    &[choice("disabled", "Disabled"), choice("loose", "Loose"), choice("exact", "Exact")];

pub(super) const UI_VISIBLE: &[Choice] =
    &[choice("always", "Always"), choice("if-set", "If set"), choice("hidden", "Hidden")];

pub(super) const UI_EDITABLE: &[Choice] =
    &[choice("yes", "Yes"), choice("no", "No"), choice("hidden", "Hidden")];

pub(super) const CABLE_TYPE: &[Choice] = &[
    choice("cat3", "CAT3"),
    choice("cat5", "CAT5"),
    choice("cat5e", "CAT5e"),
    choice("cat6", "CAT6"),
    choice("cat6a", "CAT6a"),
    choice("cat7", "CAT7"),
    choice("cat7a", "CAT7a"),
    choice("cat8", "CAT8"),
    choice("mrj21-trunk", "MRJ21 Trunk"),
    choice("dac-active", "Direct Attach Copper (Active)"),
    choice("dac-passive", "Direct Attach Copper (Passive)"),
    choice("coaxial", "Coaxial"),
    choice_since(Version::V4_4, "rg-6", "RG-6"),
    choice_since(Version::V4_4, "rg-8", "RG-8"),
    choice_since(Version::V4_4, "rg-11", "RG-11"),
    choice_since(Version::V4_4, "rg-59", "RG-59"),
    choice_since(Version::V4_4, "rg-62", "RG-62"),
    choice_since(Version::V4_4, "rg-213", "RG-213"),
    choice_since(Version::V4_4, "lmr-100", "LMR-100"),
    choice_since(Version::V4_4, "lmr-200", "LMR-200"),
    choice_since(Version::V4_4, "lmr-400", "LMR-400"),
    choice("mmf", "Multimode Fiber"),
    choice("mmf-om1", "Multimode Fiber (OM1)"),
    choice("mmf-om2", "Multimode Fiber (OM2)"),
    choice("mmf-om3", "Multimode Fiber (OM3)"),
    choice("mmf-om4", "Multimode Fiber (OM4)"),
    choice("mmf-om5", "Multimode Fiber (OM5)"),
    choice("smf", "Single-mode Fiber"),
    choice("smf-os1", "Single-mode Fiber (OS1)"),
    choice("smf-os2", "Single-mode Fiber (OS2)"),
    choice("aoc", "Active Optical Cabling (AOC)"),
    choice("power", "Power"),
    choice_since(Version::V4_2, "usb", "USB"),
];
