//! The JSON Schema of one line.

use serde_json::{Map, Value as Json, json};

use super::VERSION;
use super::read::{host_choices, interface_choices};
use crate::domain::diagnostic::Severity;
use crate::domain::observation::{
    AddressRole, AttributeType, Authority, Form, HostAttribute, InterfaceAttribute, Part, Protocol,
};

/// The JSON Schema of a line of observations.
#[must_use]
pub fn schema() -> Json {
    let common = |more: Json| {
        let mut properties = json!({
            "version": { "const": VERSION },
            "source": text("The configured source that speaks. Of an `exec` source, its own name counts."),
        });
        extend(&mut properties, more);
        properties
    };
    let observed = |name: &str, thing: Json| {
        line(
            name,
            common(json!({
                "at": { "type": "string", "format": "date-time", "description": "When it was seen to be so. Default: when the run began." },
                "authority": words(Authority::ALL, "From which position the source knows. Default: configuration."),
                "evidence": text("How the source came to know, in a few words."),
                "segment": text("The network in which the addresses are unique. Default: the source's."),
                name: thing,
            })),
        )
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netbox-agent observation",
        "description": "One line of the observation format (JSON Lines). What is absent is not known; null states that there is none.",
        "oneOf": [
            observed("host", host()),
            observed("cluster", cluster()),
            observed("prefix", prefix()),
            observed("vlan", vlan()),
            observed("ip_range", ip_range()),
            line("coverage", common(json!({ "coverage": coverage() }))),
            line("diagnostic", common(json!({ "diagnostic": diagnostic() }))),
        ],
    })
}

fn extend(object: &mut Json, more: Json) {
    if let (Json::Object(object), Json::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn line(name: &str, properties: Json) -> Json {
    object("", &["version", name], properties)
}

fn object(description: &str, required: &[&str], properties: Json) -> Json {
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if !description.is_empty() {
        schema["description"] = description.into();
    }
    schema
}

fn text(description: &str) -> Json {
    json!({ "type": "string", "description": description })
}

fn number(description: &str) -> Json {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

fn list(description: &str, items: Json) -> Json {
    json!({ "type": "array", "description": description, "items": items })
}

fn words<T: ToString>(words: &[T], description: &str) -> Json {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    json!({ "enum": words, "description": description })
}

/// An attribute: its type, or null.
fn attribute(kind: AttributeType, choices: &[&str], meaning: &str) -> Json {
    let schema = |kind: &str| json!({ "type": [kind, "null"], "description": meaning.trim() });
    if !choices.is_empty() {
        let mut choices: Vec<Json> = choices.iter().map(|word| Json::from(*word)).collect();
        choices.push(Json::Null);
        return json!({ "enum": choices, "description": meaning.trim() });
    }
    let mut schema = match kind {
        AttributeType::Text(_) | AttributeType::Block => schema("string"),
        AttributeType::Int => schema("integer"),
        AttributeType::Decimal => schema("number"),
        AttributeType::Bool => schema("boolean"),
        AttributeType::Words | AttributeType::Ints => schema("array"),
    };
    match kind {
        AttributeType::Int | AttributeType::Decimal => schema["minimum"] = 0.into(),
        AttributeType::Words => schema["items"] = json!({ "type": "string" }),
        AttributeType::Ints => schema["items"] = json!({ "type": "integer", "minimum": 0 }),
        AttributeType::Text(_) | AttributeType::Block | AttributeType::Bool => {}
    }
    schema
}

fn host() -> Json {
    let mut properties = json!({
        "key": text("The source's own key: scheme:scope/path. Different keys of one scheme are different things."),
        "aliases": list("Further keys; they join.", json!({ "type": "string" })),
        "form": words(Form::ALL, "What it is, where the source can tell."),
        "hint": { "type": "boolean", "description": "Whether it only adds to what others say of the same thing: nothing is made of it alone, and its keys are no evidence." },
    });
    let facts: Map<String, Json> = HostAttribute::ALL
        .iter()
        .map(|fact| {
            let schema = attribute(fact.value_type(), host_choices(*fact), fact.meaning());
            (fact.to_string(), schema)
        })
        .collect();
    extend(&mut properties, facts.into());
    extend(
        &mut properties,
        json!({
            "interfaces": list("Its interfaces.", interface()),
            "disks": list("Its virtual disks.", disk()),
            "services": list("What it offers to others.", service()),
            "components": list("Hardware inside it.", component()),
            "complete": list("Which of these lists are whole: what is not in them is gone.", words(Part::ALL, "A list.")),
        }),
    );
    object(
        "A device, virtual machine, container, or something that merely answered.",
        &[],
        properties,
    )
}

fn interface() -> Json {
    let mut properties = json!({
        "name": text("The name, such as eth0. Without one, it is known by its MAC address alone."),
        "mac": text("The MAC address."),
    });
    let facts: Map<String, Json> = InterfaceAttribute::ALL
        .iter()
        .map(|fact| {
            let schema = attribute(fact.value_type(), interface_choices(*fact), fact.meaning());
            (fact.to_string(), schema)
        })
        .collect();
    extend(&mut properties, facts.into());
    extend(
        &mut properties,
        json!({
            "addresses": list("The addresses on it.", address()),
            "neighbor": neighbor(),
        }),
    );
    object(
        "An interface. Without a name and a MAC address it merely carries addresses.",
        &[],
        properties,
    )
}

fn address() -> Json {
    let plain = text(
        "An address, with the length of its prefix where that is known: 192.0.2.7 or 192.0.2.7/24.",
    );
    let more = object(
        "An address of which more is known.",
        &["address"],
        json!({
            "address": plain,
            "dns_name": text("Its name in DNS."),
            "gateway": { "type": "boolean", "description": "Whether the default route leaves through its interface." },
            "role": words(AddressRole::ALL, "Its role, where it is not an ordinary one."),
            "dynamic": { "type": "boolean", "description": "Whether it was handed out by DHCP or autoconfiguration." },
        }),
    );
    json!({ "anyOf": [plain, more] })
}

fn neighbor() -> Json {
    object(
        "What is at the other end of its cable.",
        &["port"],
        json!({
            "chassis": text("The neighbour's chassis id, where it is a MAC address."),
            "name": text("The neighbour's system name."),
            "port": text("The name of the neighbour's port."),
        }),
    )
}

fn disk() -> Json {
    object(
        "A virtual disk.",
        &["name", "size_mb"],
        json!({
            "name": text("The name within the guest's configuration."),
            "size_mb": number("Its size in MB."),
            "description": text("One line about it."),
        }),
    )
}

fn service() -> Json {
    let port = json!({ "type": "integer", "minimum": 1, "maximum": 65535 });
    let mut ports = list("The ports.", port);
    ports["minItems"] = 1.into();
    object(
        "Something that it offers on a port.",
        &["name", "protocol", "ports"],
        json!({
            "name": text("The name, such as ssh."),
            "protocol": words(Protocol::ALL, "The transport."),
            "ports": ports,
            "description": text("One line about it."),
        }),
    )
}

fn component() -> Json {
    object(
        "Hardware inside it.",
        &["name"],
        json!({
            "name": text("The name, unique within the host."),
            "manufacturer": text("Its maker."),
            "part_id": text("The maker's part number or model."),
            "serial": text("Its serial number."),
            "description": text("One line about it."),
        }),
    )
}

fn cluster() -> Json {
    object(
        "A cluster of hypervisors.",
        &["key", "name", "kind"],
        json!({
            "key": text("The source's own key: scheme:scope/path."),
            "name": text("Its name."),
            "kind": text("What kind of cluster it is, such as Proxmox VE."),
            "site": text("The site it stands at."),
        }),
    )
}

fn vid(description: &str) -> Json {
    json!({ "type": "integer", "minimum": 1, "maximum": 4094, "description": description })
}

fn prefix() -> Json {
    object(
        "A subnet.",
        &["net"],
        json!({
            "net": text("The network, such as 192.0.2.0/24."),
            "vlan": vid("The VLAN it is carried in."),
            "description": text("One line about it."),
        }),
    )
}

fn vlan() -> Json {
    object(
        "A VLAN.",
        &["vid"],
        json!({
            "vid": vid("Its id."),
            "name": text("Its name."),
            "description": text("One line about it."),
        }),
    )
}

fn ip_range() -> Json {
    object(
        "A range of addresses within one network, such as a DHCP pool.",
        &["start", "end", "prefix_len"],
        json!({
            "start": text("The first address."),
            "end": text("The last address."),
            "prefix_len": number("The length of the network's prefix."),
            "description": text("One line about it."),
        }),
    )
}

fn coverage() -> Json {
    object(
        "A scope that the source saw whole, so that what is missing there counts as missing; or the reason why not. Exactly one of `subnet` and `keys`.",
        &[],
        json!({
            "subnet": text("A subnet of which every address was asked."),
            "segment": text("The segment of the subnet."),
            "keys": text("The beginning of the keys of which all were listed, such as pve:homelab/."),
            "method": text("How the source looked: arp, icmp, listing."),
            "gap": text("Why what is missing here is not proven absent; absent where it is."),
        }),
    )
}

fn diagnostic() -> Json {
    object(
        "What a person should know.",
        &["severity", "message"],
        json!({
            "severity": words(Severity::ALL, "How much it matters."),
            "code": text("A stable word for this kind of diagnostic: lower-case letters, digits, underscores."),
            "about": text("What it is about."),
            "message": text("What happened, and what a person can do."),
        }),
    )
}
