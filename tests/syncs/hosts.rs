//! What sources say in these tests: networks of hosts, named so that no two tests meet.

use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

/// A network of one's own: a site, a VRF, a maker, names and MAC addresses.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub word: String,
    macs: u32,
}

impl Network {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let number = now.as_micros() as u64 + u64::from(count) * 7_919;
        // Far enough apart that no two tests count up to the same address.
        let macs = ((number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32) & 0xffff_f000;
        Network { word: format!("s{:x}{count:x}", number % 0xff_ffff_ffff), macs }
    }

    pub(crate) fn name(&self, number: u32) -> String {
        format!("{}-{number:04}", self.word)
    }

    fn mac(&self, number: u32, port: u32) -> String {
        let [a, b, c, d] = self.macs.wrapping_add(number * 2 + port).to_be_bytes();
        format!("00:1b:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    /// A host as a source with keys of its own tells it: two interfaces, each with a MAC
    /// address and an IP address, and a service.
    pub(crate) fn host(&self, number: u32) -> Json {
        let port = |port: u32| {
            let address = format!("10.{}.{}.{}/16", 64 + port, number / 250, number % 250 + 1);
            json!({
                "name": format!("eth{port}"),
                "mac": self.mac(number, port),
                "addresses": [{ "address": address, "gateway": port == 0 }],
            })
        };
        json!({
            "key": format!("lab:{}/host/{number}", self.word),
            "name": self.name(number),
            "manufacturer": format!("{} maker", self.word),
            "model": format!("Model {}", number % 4),
            "serial": format!("{}S{number}", self.word),
            "description": "as the source has it",
            "interfaces": [port(0), port(1)],
            "services": [{ "name": "ssh", "protocol": "tcp", "ports": [22] }],
        })
    }

    /// What a source says that knows these hosts, and knows that there are no others.
    pub(crate) fn listing(&self, hosts: impl IntoIterator<Item = u32>) -> String {
        let hosts: Vec<Json> = hosts.into_iter().map(|number| self.host(number)).collect();
        self.lines(&hosts)
    }

    /// The same for hosts that a test has made itself.
    pub(crate) fn lines(&self, hosts: &[Json]) -> String {
        let mut text = String::new();
        for host in hosts {
            let line = json!({
                "version": 1, "authority": "self", "evidence": "its own word", "host": host,
            });
            let _ = writeln!(text, "{line}");
        }
        let keys = format!("lab:{}/", self.word);
        let whole = json!({"version": 1, "coverage": {"keys": keys, "method": "listing"}});
        let _ = writeln!(text, "{whole}");
        text
    }

    /// What a sweep says of its first network when these hosts answer.
    pub(crate) fn sweep(&self, hosts: impl IntoIterator<Item = u32>) -> String {
        let mut text = String::new();
        for number in hosts {
            let line = json!({
                "version": 1, "authority": "wire", "evidence": "arp reply",
                "host": {
                    "name": self.name(number),
                    "interfaces": [{
                        "mac": self.mac(number, 0),
                        "addresses": [format!("10.64.0.{}/24", number + 1)],
                    }],
                },
            });
            let _ = writeln!(text, "{line}");
        }
        let whole = json!({"version": 1, "coverage": {"subnet": "10.64.0.0/24", "method": "arp"}});
        let _ = writeln!(text, "{whole}");
        text
    }
}
