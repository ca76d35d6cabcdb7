//! Makers by the one name each has here: registries, firmware and smart homes
//! spell them in many ways.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use super::identity::maker_key;

/// The name a maker is known by, and how it is spelt elsewhere, as [`maker_key`] gives it.
const KNOWN: &[(&str, &[&str])] = &[
    ("Aeotec", &["aeotec", "aeon labs"]),
    ("Amazon", &["amazon", "amazon com"]),
    ("Apple", &["apple"]),
    ("Aqara", &["aqara", "lumi", "lumi united"]),
    ("ASRock", &["asrock", "asrock incorporation"]),
    ("ASUSTeK", &["asus", "asustek", "asustek computer"]),
    ("AVM", &["avm", "avm audiovisuelles marketing und computersysteme", "fritz box"]),
    ("Axis", &["axis", "axis communications", "axis communications ab"]),
    ("Azurewave", &["azurewave", "azurewave technology"]),
    ("Brother", &["brother", "brother industries"]),
    ("Canon", &["canon"]),
    ("Cisco", &["cisco"]),
    ("D-Link", &["d link", "dlink"]),
    ("Dahua", &["dahua", "zhejiang dahua"]),
    ("Dell", &["dell", "dell emc"]),
    ("Epson", &["epson", "seiko epson"]),
    ("Espressif", &["espressif"]),
    ("Fujitsu", &["fujitsu", "fujitsu technology solutions"]),
    ("Gigabyte", &["gigabyte", "giga byte"]),
    ("Google", &["google", "google nest", "nest", "nest labs"]),
    ("Hewlett Packard", &["hp", "hewlett packard"]),
    ("Hewlett Packard Enterprise", &["hpe", "hewlett packard enterprise"]),
    (
        "Hikvision",
        &["hikvision", "hangzhou hikvision digital", "hangzhou hikvision digital technology"],
    ),
    ("Huawei", &["huawei"]),
    ("IKEA", &["ikea", "ikea of sweden"]),
    ("Intel", &["intel", "intel corporate"]),
    ("Juniper", &["juniper"]),
    ("Lenovo", &["lenovo"]),
    ("LG", &["lg", "lg innotek", "lge"]),
    ("Lutron", &["lutron"]),
    ("Microsoft", &["microsoft"]),
    ("MikroTik", &["mikrotik", "routerboard", "routerboard com", "mikrotikls", "mikrotikls sia"]),
    ("Netgate", &["netgate", "pc engines netgate"]),
    ("NETGEAR", &["netgear"]),
    ("Philips Hue", &["philips lighting", "philips hue", "signify", "signify netherlands"]),
    ("Proxmox", &["proxmox", "proxmox server solutions"]),
    ("QNAP", &["qnap"]),
    (
        "Raspberry Pi",
        &["raspberry pi", "raspberry pi foundation", "raspberry pi trading", "raspberry pi ltd"],
    ),
    ("Realtek", &["realtek", "realtek semiconductor"]),
    ("Ring", &["ring"]),
    ("Roku", &["roku"]),
    ("Samsung", &["samsung", "samsung electro mechanics", "samsung electro mechanics thailand"]),
    (
        "Shelly",
        &["shelly", "allterco robotics", "allterco", "shelly europe", "alterco robotics eood"],
    ),
    ("Sonos", &["sonos"]),
    ("Sonoff", &["sonoff", "itead", "itead studio"]),
    ("Sony", &["sony"]),
    ("Supermicro", &["supermicro", "super micro"]),
    ("Synology", &["synology"]),
    ("TP-Link", &["tp link", "tplink", "tp link systems", "tp link corporation"]),
    ("Tuya", &["tuya", "tuya smart"]),
    ("Ubiquiti", &["ubiquiti", "ubnt", "ui", "ubiquiti networks"]),
    ("VMware", &["vmware"]),
    ("Western Digital", &["western digital", "wd", "wdc"]),
    ("Xiaomi", &["xiaomi", "xiaomi communications", "beijing xiaomi mobile software"]),
    ("Zyxel", &["zyxel", "zyxel communications"]),
];

/// The one name of a maker: by a person's table first, then by the built-in one; a
/// maker that neither knows keeps its own name without its legal form.
#[must_use]
pub fn canonical(table: &BTreeMap<Arc<str>, BTreeSet<Arc<str>>>, maker: &str) -> Arc<str> {
    let key = maker_key(maker);
    let plain = maker.trim().to_lowercase();
    for (name, spellings) in table {
        let spelt =
            |spelling: &str| spelling.trim().to_lowercase() == plain || maker_key(spelling) == key;
        if spelt(name) || spellings.iter().any(|spelling| spelt(spelling)) {
            return name.clone();
        }
    }
    let known = KNOWN
        .iter()
        .find(|(_, spellings)| spellings.iter().any(|s| *s == key || maker_key(s) == key));
    known.map_or_else(|| without_legal_form(maker), |(name, _)| (*name).into())
}

/// The built-in name of a maker that is called so.
#[must_use]
pub fn known(name: &str) -> Option<&'static str> {
    let key = maker_key(name);
    KNOWN.iter().map(|(known, _)| *known).find(|known| maker_key(known) == key)
}

/// A maker as it is compared: every spelling that the built-in table knows is one, others
/// are compared without their legal forms. Empty for makers that firmware left unset.
#[must_use]
pub fn compared(maker: &str) -> String {
    // A merge asks for every serial number.
    static BY_SPELLING: LazyLock<HashMap<&str, String>> = LazyLock::new(|| {
        let all = KNOWN.iter().flat_map(|(name, spellings)| {
            spellings.iter().map(|spelling| (*spelling, maker_key(name)))
        });
        all.collect()
    });
    let key = maker_key(maker);
    BY_SPELLING.get(key.as_str()).cloned().unwrap_or(key)
}

/// Drops what follows a comma or a legal form at the end, but keeps the spelling.
fn without_legal_form(maker: &str) -> Arc<str> {
    const FORMS: [&str; 16] = [
        "inc",
        "inc.",
        "corp",
        "corp.",
        "corporation",
        "co.",
        "co",
        "ltd",
        "ltd.",
        "limited",
        "llc",
        "gmbh",
        "ag",
        "b.v.",
        "s.a.",
        "incorporated",
    ];
    let mut words: Vec<&str> = maker.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    while words.len() > 1
        && words.last().is_some_and(|word| FORMS.contains(&word.to_lowercase().as_str()))
    {
        words.pop();
    }
    words.join(" ").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_maker_compare_equal() {
        for (a, b) in [
            ("Hewlett-Packard", "HP Inc."),
            ("Super Micro Computer, Inc.", "Supermicro"),
            ("Brother Industries, LTD.", "Brother"),
            ("AVM Audiovisuelles Marketing und Computersysteme GmbH", "AVM"),
            ("Acme Widgets Ltd.", "ACME widgets"),
        ] {
            assert_eq!(compared(a), compared(b));
        }
        assert_ne!(compared("HP"), compared("HPE"), "two companies since 2015");
        assert_eq!(compared("To be filled by O.E.M."), "");
        for (name, _) in KNOWN {
            assert_eq!(compared(&compared(name)), compared(name), "{name}");
        }
    }

    #[test]
    fn every_spelling_gives_one_name() {
        let none = BTreeMap::new();
        for (spelling, name) in [
            ("Ubiquiti Networks", "Ubiquiti"),
            ("ubnt", "Ubiquiti"),
            ("Ubiquiti Networks Inc.", "Ubiquiti"),
            ("TP-LINK TECHNOLOGIES CO.,LTD.", "TP-Link"),
            ("Intel Corporate", "Intel"),
            ("Espressif Inc.", "Espressif"),
            ("Signify Netherlands B.V.", "Philips Hue"),
            ("Lutron Electronics Co., Inc", "Lutron"),
            ("AEON Labs", "Aeotec"),
            ("IKEA of Sweden", "IKEA"),
            ("Super Micro Computer, Inc.", "Supermicro"),
            ("Acme Widgets Ltd.", "Acme Widgets"),
        ] {
            assert_eq!(&*canonical(&none, spelling), name, "{spelling}");
        }
        let table = BTreeMap::from([("My Shop".into(), BTreeSet::from(["acme widgets".into()]))]);
        assert_eq!(&*canonical(&table, "ACME Widgets Ltd."), "My Shop");
    }
}
