//! What is written is read again; what is wrong is told; what is documented is so.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;

use super::*;
use crate::collect::Harvest;
use crate::domain::coverage::{Coverage, Scope};
use crate::domain::diagnostic::{Diagnostic, Severity};
use crate::domain::mac::MacAddr;
use crate::domain::name::{SourceName, visible};
use crate::domain::observation::*;
use crate::domain::value::{Decimal, SmallMap, Value};

fn context(source: Option<&str>) -> Context {
    Context {
        source: source.map(|name| name.parse().unwrap()),
        segment: Segment::default(),
        at: "2024-05-01T12:00:00Z".parse().unwrap(),
        evidence: "script".into(),
        place: "lab.jsonl".into(),
    }
}

fn reading(text: &str) -> Harvest {
    read(text.as_bytes(), &context(None)).unwrap()
}

fn written(harvest: &Harvest) -> String {
    let mut out = Vec::new();
    write(harvest, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const HOST: &str = r#"{"version":1,"source":"lab","at":"2024-05-01T12:00:00Z","authority":"hypervisor","evidence":"configuration","segment":"dmz","host":{"key":"pve:lab/qemu/7","aliases":["smbios:7"],"form":"virtual_machine","name":"web01","serial":null,"vcpus":2.5,"memory_mb":2048,"tags":["a","b"],"interfaces":[{"name":"net0","mac":"bc:24:11:00:00:07","enabled":true,"tagged_vlans":[10,20],"addresses":["192.0.2.7/24",{"address":"2001:db8::7/64","dns_name":"web01.example","gateway":true,"role":"vip","dynamic":false}],"neighbor":{"chassis":"00:1b:21:00:00:01","name":"sw1","port":"ge-0/0/1"}}],"disks":[{"name":"scsi0","size_mb":32768}],"services":[{"name":"ssh","protocol":"tcp","ports":[22]}],"components":[{"name":"sda","serial":"X1"}],"complete":["interfaces","disks"]}}"#;

#[test]
fn a_line_is_written_as_it_was_read() {
    let lines = [
        HOST,
        r#"{"version":1,"source":"lab","at":"2024-05-01T12:00:00Z","authority":"hypervisor","evidence":"configuration","cluster":{"key":"pve:lab","name":"lab","kind":"Proxmox VE","site":"Home"}}"#,
        r#"{"version":1,"source":"lab","at":"2024-05-01T12:00:00Z","authority":"configuration","evidence":"configuration","prefix":{"net":"192.0.2.0/24","vlan":10}}"#,
        r#"{"version":1,"source":"lab","at":"2024-05-01T12:00:00Z","authority":"configuration","evidence":"configuration","vlan":{"vid":10,"name":"servers"}}"#,
        r#"{"version":1,"source":"lab","at":"2024-05-01T12:00:00Z","authority":"lease","evidence":"configuration","ip_range":{"start":"192.0.2.100","end":"192.0.2.199","prefix_len":24}}"#,
        r#"{"version":1,"source":"lab","coverage":{"subnet":"192.0.2.0/24","segment":"dmz","method":"arp"}}"#,
        r#"{"version":1,"source":"lab","coverage":{"keys":"pve:lab/","method":"listing","gap":"node pve2 is offline"}}"#,
        r#"{"version":1,"diagnostic":{"severity":"warning","code":"node_offline","about":"pve2","message":"it does not answer"}}"#,
    ];
    for line in lines {
        let harvest = reading(line);
        assert_eq!(written(&harvest), format!("{line}\n"));
    }
}

#[test]
fn a_script_needs_to_say_little() {
    let line = r#"{"version":1,"source":"someone else","host":{"name":"printer","interfaces":[{"addresses":["192.0.2.9"]}]}}"#;
    let harvest =
        read(line.replace("someone else", "else").as_bytes(), &context(Some("shelf"))).unwrap();
    let [observation] = harvest.observations.as_slice() else { panic!("{harvest:?}") };
    assert_eq!(observation.source.as_str(), "shelf", "whatever the line says");
    assert_eq!(observation.authority, Authority::Configuration);
    assert_eq!(observation.at, context(None).at);
    assert_eq!(&*observation.evidence, "script");
}

#[test]
fn null_is_a_statement_and_absence_is_none() {
    let harvest =
        reading(r#"{"version":1,"source":"lab","host":{"serial":null,"model":"","tags":[]}}"#);
    let Thing::Host(host) = &harvest.observations[0].thing else { panic!("{harvest:?}") };
    assert_eq!(host.facts.get(&HostAttribute::Serial), Some(&Value::Null));
    assert_eq!(host.facts.get(&HostAttribute::Model), None);
    assert_eq!(host.facts.get(&HostAttribute::Tags), Some(&Value::words::<_, &str>([])));
}

#[test]
fn wrong_lines_are_told_by_number_and_the_rest_is_used() {
    let lines = [
        "{",
        "[]",
        r#"{"source":"lab","host":{}}"#,
        r#"{"version":2,"source":"lab","host":{}}"#,
        r#"{"version":1,"host":{}}"#,
        r#"{"version":1,"source":"lab","hots":{}}"#,
        r#"{"version":1,"source":"lab","host":{},"vlan":{"vid":1}}"#,
        r#"{"version":1,"source":"a b","host":{}}"#,
        r#"{"version":1,"source":"lab","authority":"persn","host":{}}"#,
        r#"{"version":1,"source":"lab","at":"yesterday","host":{}}"#,
        r#"{"version":1,"source":"lab","host":{"nmae":"x"}}"#,
        r#"{"version":1,"source":"lab","host":{"name":5}}"#,
        r#"{"version":1,"source":"lab","host":{"status":"activ"}}"#,
        r#"{"version":1,"source":"lab","host":{"memory_mb":-1}}"#,
        r#"{"version":1,"source":"lab","host":{"key":"nokey"}}"#,
        r#"{"version":1,"source":"lab","host":{"interfaces":[{},{"mac":"zz"}]}}"#,
        r#"{"version":1,"source":"lab","host":{"interfaces":[{"addresses":["192.0.2.7/33"]}]}}"#,
        r#"{"version":1,"source":"lab","host":{"interfaces":[{"addresses":[{"address":"192.0.2.7","gatway":true}]}]}}"#,
        r#"{"version":1,"source":"lab","host":{"services":[{"name":"x","protocol":"tcp","ports":[0]}]}}"#,
        r#"{"version":1,"source":"lab","host":{"disks":[{"name":"x"}]}}"#,
        r#"{"version":1,"source":"lab","vlan":{"vid":4095}}"#,
        r#"{"version":1,"source":"lab","ip_range":{"start":"192.0.2.9","end":"192.0.2.1","prefix_len":24}}"#,
        r#"{"version":1,"source":"lab","coverage":{"method":"arp"}}"#,
        "",
        r#"{"version":1,"source":"lab","coverage":{"subnet":"192.0.2.0/24","method":"arp"}}"#,
        r#"{"version":1,"source":"lab","host":{"name":"fine"}}"#,
    ];
    let harvest = reading(&lines.join("\n"));
    assert_eq!(harvest.observations.len(), 1);
    let [claim] = harvest.coverage.as_slice() else { panic!("{harvest:?}") };
    assert_eq!(claim.gap.as_deref(), Some("line 1 could not be read"), "nothing is proven absent");
    let told: Vec<String> = harvest.diagnostics.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_not_text_or_too_long_is_told_and_skipped() {
    let mut input = b"\xff\xfe\n".to_vec();
    input.extend(std::iter::repeat_n(b'x', LONGEST_LINE + 10));
    input.extend(format!("\n{HOST}\r\n").bytes());
    input.extend(std::iter::repeat_n(b'y', LONGEST_LINE + 10));
    let harvest = read(input.as_slice(), &context(None)).unwrap();
    assert_eq!(harvest.observations.len(), 1);
    let abouts: Vec<&str> = harvest.diagnostics.iter().map(|d| &*d.about).collect();
    assert_eq!(abouts, ["lab.jsonl:1", "lab.jsonl:2", "lab.jsonl:4"]);
}

#[test]
fn ten_thousand_wrong_lines_do_not_make_ten_thousand_diagnostics() {
    let harvest = reading(&"nonsense\n".repeat(10_000));
    assert_eq!(harvest.diagnostics.len(), 51);
    assert!(harvest.diagnostics[50].message.contains("9950 more"), "{:?}", harvest.diagnostics[50]);
}

#[test]
fn the_order_of_what_was_seen_changes_no_byte() {
    let lines: Vec<String> = (0..20)
        .map(|n| format!(r#"{{"version":1,"source":"lab","host":{{"name":"h{n}"}}}}"#))
        .collect();
    let forward = reading(&lines.join("\n"));
    let backward = reading(&lines.iter().rev().cloned().collect::<Vec<_>>().join("\n"));
    assert_ne!(forward.observations, backward.observations);
    assert_eq!(written(&forward), written(&backward));
}

#[test]
fn the_schema_knows_exactly_the_keys_that_are_read() {
    fn keys(schema: &Json) -> BTreeSet<&str> {
        schema["properties"].as_object().unwrap().keys().map(String::as_str).collect()
    }
    let schema = schema();
    let lines = schema["oneOf"].as_array().unwrap();
    let known: BTreeSet<&str> = lines.iter().flat_map(keys).collect();
    for line in lines {
        let name = line["required"][1].as_str().unwrap();
        let thing = &line["properties"][name];
        for key in keys(thing) {
            // A value of a type that nothing has: the key is known, the value is wrong.
            let text = format!(r#"{{"version":1,"source":"lab","{name}":{{"{key}":{{"":0}}}}}}"#);
            let told = reading(&text).diagnostics[0].message.clone();
            assert!(!told.contains("unknown key"), "{name}.{key}: {told}");
        }
    }
    assert!(known.is_superset(&["version", "source", "at", "host", "coverage"].into()));
    let host = keys(&lines[0]["properties"]["host"]);
    assert!(HostAttribute::ALL.iter().all(|attribute| host.contains(attribute.as_str())));
}

fn text(limit: usize) -> impl Strategy<Value = Arc<str>> {
    "[a-zA-Z0-9ÄäЖ日/_.\\-][ -~ÄäЖ日]{0,30}".prop_map(move |text| visible(&text, limit).into())
}

fn key() -> impl Strategy<Value = NativeKey> {
    "[a-z][a-z0-9_-]{0,5}:[!-~]{1,20}".prop_map(|text| text.parse().unwrap())
}

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<Ipv4Addr>().prop_map(IpAddr::V4),
        any::<Ipv6Addr>().prop_map(|ip| IpAddr::V6(ip).to_canonical()),
    ]
}

fn net() -> impl Strategy<Value = IpNet> {
    (ip(), any::<u8>()).prop_map(|(ip, length)| {
        let most = if ip.is_ipv4() { 33 } else { 129_u16 };
        IpNet::new(ip, u8::try_from(u16::from(length) % most).unwrap()).unwrap()
    })
}

fn value(kind: AttributeType, choices: &'static [&'static str]) -> BoxedStrategy<Value> {
    let stated = match kind {
        _ if !choices.is_empty() => select(choices).prop_map(Value::text).boxed(),
        AttributeType::Text(limit) => text(limit).prop_map(Value::Text).boxed(),
        AttributeType::Block => "[a-z][a-z \n\t]{0,20}[a-z]".prop_map(Value::text).boxed(),
        AttributeType::Int => (0..=i64::MAX).prop_map(Value::Int).boxed(),
        AttributeType::Decimal => {
            (0..1_000_000_000_i64).prop_map(|n| Value::Decimal(Decimal(n))).boxed()
        }
        AttributeType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        AttributeType::Words => vec(text(100), 0..4).prop_map(Value::words).boxed(),
        AttributeType::Ints => btree_set(0..=4094_i64, 0..4).prop_map(Value::Ints).boxed(),
    };
    prop_oneof![4 => stated, 1 => Just(Value::Null)].boxed()
}

fn host_facts() -> impl Strategy<Value = HostFacts> {
    let one = select(HostAttribute::ALL).prop_flat_map(|attribute| {
        let choices = super::read::host_choices(attribute);
        (Just(attribute), value(attribute.value_type(), choices))
    });
    vec(one, 0..6).prop_map(SmallMap::from_iter)
}

fn interface_facts() -> impl Strategy<Value = InterfaceFacts> {
    let one = select(InterfaceAttribute::ALL).prop_flat_map(|attribute| {
        let choices = super::read::interface_choices(attribute);
        (Just(attribute), value(attribute.value_type(), choices))
    });
    vec(one, 0..4).prop_map(SmallMap::from_iter)
}

fn address() -> impl Strategy<Value = Address> {
    (
        prop_oneof![ip().prop_map(Address::bare), net().prop_map(Address::with_prefix)],
        option::of(text(255)),
        any::<bool>(),
        option::of(select(AddressRole::ALL)),
        option::of(any::<bool>()),
    )
        .prop_map(|(address, dns_name, gateway, role, dynamic)| Address {
            dns_name,
            gateway,
            role,
            dynamic,
            ..address
        })
}

fn interface() -> impl Strategy<Value = Interface> {
    let neighbor = (option::of(mac()), option::of(text(255)), text(255))
        .prop_map(|(chassis, name, port)| Neighbor { chassis, name, port });
    (
        option::of(text(64)),
        option::of(mac()),
        interface_facts(),
        vec(address(), 0..3),
        option::of(neighbor),
    )
        .prop_map(|(name, mac, facts, addresses, neighbor)| Interface {
            name,
            mac,
            facts,
            addresses,
            neighbor,
        })
}

fn host() -> impl Strategy<Value = Host> {
    let disk = (text(64), 0..=i64::MAX, option::of(text(200)))
        .prop_map(|(name, size_mb, description)| Disk { name, size_mb, description });
    let service =
        (text(100), select(Protocol::ALL), btree_set(1..=u16::MAX, 1..4), option::of(text(200)))
            .prop_map(|(name, protocol, ports, description)| Service {
                name,
                protocol,
                ports,
                description,
            });
    let component = (
        text(64),
        option::of(text(100)),
        option::of(text(50)),
        option::of(text(50)),
        option::of(text(200)),
    )
        .prop_map(|(name, manufacturer, part_id, serial, description)| Component {
            name,
            manufacturer,
            part_id,
            serial,
            description,
        });
    (
        option::of(key()),
        btree_set(key(), 0..3),
        option::of(select(Form::ALL)),
        host_facts(),
        vec(interface(), 0..3),
        vec(disk, 0..3),
        vec(service, 0..3),
        vec(component, 0..3),
        btree_set(select(Part::ALL), 0..4),
        any::<bool>(),
    )
        .prop_map(
            |(
                key,
                aliases,
                form,
                facts,
                interfaces,
                disks,
                services,
                components,
                complete,
                hint,
            )| Host {
                key,
                aliases,
                form,
                facts,
                interfaces,
                disks,
                services,
                components,
                complete,
                hint,
            },
        )
}

fn thing() -> impl Strategy<Value = Thing> {
    let line = || option::of(text(200));
    let cluster = (key(), text(100), text(100), option::of(text(100)))
        .prop_map(|(key, name, kind, site)| Cluster { key, name, kind, site });
    let prefix = (net(), option::of(1..=4094_u16), line())
        .prop_map(|(net, vlan, description)| Prefix { net: net.trunc(), vlan, description });
    let vlan = (1..=4094_u16, option::of(text(64)), line())
        .prop_map(|(vid, name, description)| Vlan { vid, name, description });
    let range = (any::<Ipv4Addr>(), any::<Ipv4Addr>(), 0..=32_u8, line()).prop_map(
        |(a, b, prefix_len, description)| IpRange {
            start: a.min(b).into(),
            end: a.max(b).into(),
            prefix_len,
            description,
        },
    );
    prop_oneof![
        4 => host().prop_map(|host| Thing::Host(Box::new(host))),
        1 => cluster.prop_map(Thing::Cluster),
        1 => prefix.prop_map(Thing::Prefix),
        1 => vlan.prop_map(Thing::Vlan),
        1 => range.prop_map(Thing::IpRange),
    ]
}

fn source() -> impl Strategy<Value = SourceName> {
    "[A-Za-z0-9._-]{1,20}".prop_map(|name| name.parse().unwrap())
}

fn segment() -> impl Strategy<Value = Segment> {
    prop_oneof![Just(Segment::default()), text(64).prop_map(|name| Segment::named(&name))]
}

fn observation() -> impl Strategy<Value = Observation> {
    let at = (0..4_000_000_000_000_i64).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap());
    (source(), at, select(Authority::ALL), text(100), segment(), thing()).prop_map(
        |(source, at, authority, evidence, segment, thing)| Observation {
            source,
            at,
            authority,
            evidence,
            segment,
            thing,
        },
    )
}

fn claim() -> impl Strategy<Value = Coverage> {
    let scope = prop_oneof![
        (segment(), net()).prop_map(|(segment, net)| Scope::Subnet { segment, net: net.trunc() }),
        key().prop_map(|key| Scope::Keys(key.as_str().into())),
    ];
    (source(), scope, text(64), option::of(text(500)))
        .prop_map(|(source, scope, method, gap)| Coverage { source, scope, method, gap })
}

fn told() -> impl Strategy<Value = Diagnostic> {
    let code = select(&["bad_line", "node_offline", "shared_mac"][..]);
    (select(Severity::ALL), code, text(200), text(2_000)).prop_map(
        |(severity, code, about, message)| Diagnostic {
            severity,
            code,
            about,
            message: message.to_string(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_again(
        observations in vec(observation(), 0..4),
        coverage in vec(claim(), 0..3),
        diagnostics in vec(told(), 0..3),
    ) {
        fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
            items.sort();
            items.dedup();
            items
        }
        let harvest = Harvest {
            observations: sorted(observations),
            coverage: sorted(coverage),
            diagnostics: sorted(diagnostics),
        };
        let text = written(&harvest);
        prop_assert_eq!(&reading(&text), &harvest, "{}", text);
        prop_assert_eq!(written(&reading(&text)), text);
    }

    #[test]
    fn no_line_makes_it_fail(line in "[{}\\[\\]\",:a-z0-9 \\\\]{0,80}") {
        let harvest = reading(&line);
        prop_assert!(harvest.observations.is_empty() || harvest.diagnostics.is_empty());
    }
}
