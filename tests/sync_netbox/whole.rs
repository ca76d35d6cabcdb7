//! From the first sync to an empty plan.

use crate::place::{Agent, Place, everywhere};
use crate::relay::Certificate;

/// The most requests that a sync may make that finds nothing to do.
const ENOUGH: usize = 30;

#[test]
fn the_first_sync_writes_everything_and_the_second_nothing() {
    everywhere(|place| {
        let agent = Agent::of(place);
        let plan = agent.run(&["plan", "--detailed-exit-code"]).expect(5);
        assert!(plan.out.contains(&format!("{}-node-1", agent.network.word)), "{}", plan.out);
        assert!(agent.asked().writes().is_empty(), "a plan writes nothing");

        let first = agent.run(&["sync", "--format", "json"]).expect(0).json();
        let summary = &first["summary"];
        assert_eq!(summary["applied"], summary["planned"], "{summary}");
        assert!(summary["applied"].as_u64().unwrap() > 60, "{summary}");
        assert!(!agent.asked().made.is_empty());
        stands(place, &agent);

        let second = agent.run(&["sync", "--format", "json"]).expect(0).json();
        assert_eq!(second["summary"]["planned"], 0, "{second:#}");
        let asked = agent.asked();
        assert!(asked.writes().is_empty(), "{:?}", asked.writes());
        assert!(asked.asked.len() <= ENOUGH, "{}: {:#?}", asked.asked.len(), asked.asked);

        agent.run(&["plan", "--detailed-exit-code"]).expect(0);
        assert!(agent.asked().writes().is_empty());
        agent.tidy_up(place);
    });
}

/// What the sources saw stands in NetBox.
fn stands(place: &Place, agent: &Agent) {
    let word = &agent.network.word;
    let node = place.the(&format!("dcim/devices?name={word}-node-1"));
    assert_eq!(node["primary_ip4"]["address"], "192.0.2.11/24", "{node}");
    assert_eq!(node["serial"], format!("{word}-serial-1"));
    assert_eq!(node["comments"], "First line\n\nÄ second one");
    assert_eq!(node["location"]["name"], "Rack");
    assert_eq!(node["cluster"]["name"], format!("{word}-cluster"));

    let node = node["id"].as_u64().unwrap();
    let bridged = place.the(&format!("dcim/interfaces?device_id={node}&name=eno1"));
    assert_eq!(bridged["bridge"]["name"], "vmbr0", "{bridged}");
    assert_eq!(bridged["link_peers"][0]["name"], "port1", "{bridged}");
    assert!(bridged["mac_address"].is_string(), "{bridged}");
    let tagged = place.the(&format!("dcim/interfaces?device_id={node}&name=vmbr0.30"));
    assert_eq!(tagged["parent"]["name"], "vmbr0", "{tagged}");
    assert_eq!(tagged["untagged_vlan"]["vid"], 30);

    let guest = place.the(&format!("virtualization/virtual-machines?name={word}-guest-2"));
    assert_eq!(guest["status"]["value"], "offline", "{guest}");
    assert_eq!(guest["device"]["name"], format!("{word}-node-1"));
    // NetBox counts in GB before 4.1.
    let (_, status) = place.ask("GET", "status");
    let old = status["netbox-version"].as_str().unwrap().starts_with("4.0.");
    assert_eq!(guest["disk"], if old { 24 } else { 24_002 });
    assert_eq!(guest["vcpus"], 2.5);
    assert_eq!(guest["primary_ip6"]["address"], "2001:db8:30::102/64");

    let vrf = place.the(&format!("ipam/vrfs?name={word}-vrf"))["id"].as_u64().unwrap();
    let range = place.the(&format!("ipam/ip-ranges?vrf_id={vrf}"));
    assert_eq!(range["start_address"], "192.0.2.200/24");
    let prefix = place.the(&format!("ipam/prefixes?vrf_id={vrf}&prefix=198.51.100.0/25"));
    assert_eq!(prefix["vlan"]["vid"], 30, "{prefix}");
}

#[test]
fn a_certificate_that_signs_itself_is_used_once_a_person_vouches_for_it() {
    everywhere(|place| {
        let certificate = Certificate::new();
        let agent = Agent::behind(place, Some(&certificate));
        let end = agent.run(&["sync"]).expect(1);
        let told = end.complaint();
        assert!(told.contains("cannot trust https://127.0.0.1:"), "{told}");
        let print = told.split_whitespace().find(|word| word.matches(':').count() >= 31);
        let print = print.unwrap_or_else(|| panic!("no fingerprint: {told}"));
        let print = print.trim_matches(|c: char| !c.is_ascii_hexdigit());
        assert!(agent.asked().asked.is_empty());

        agent.configure(&format!("fingerprint = {print:?}"));
        agent.run(&["plan"]).expect(0);
        let file = agent.path("ca.pem");
        std::fs::write(&file, &certificate.pem).unwrap();
        agent.configure(&format!("ca_file = {file:?}"));
        agent.run(&["plan"]).expect(0);
        agent.configure("verify_tls = false");
        agent.run(&["plan"]).expect(0);
        assert!(agent.asked().writes().is_empty());
    });
}
