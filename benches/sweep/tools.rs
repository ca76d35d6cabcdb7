//! The scanners and how each is told to do the same work.

use std::path::Path;
use std::process::Command;

use super::cases::{Case, How, PORT};
use super::network::SCANNER;

/// A scanner and a way to run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tool {
    Agent,
    AgentUnprivileged,
    ArpScan,
    ArpScanFast,
    ArpScanThrice,
    Nmap,
    NmapFast,
    NmapPort,
    Fping,
    FpingFast,
    MasscanFast,
    MasscanPort,
    Zmap,
    ZmapPort,
}

/// The programs, and the packages of Debian in which they come.
const PROGRAMS: [&str; 5] = ["arp-scan", "nmap", "fping", "masscan", "zmap"];

/// Says which programs are not there to be compared with.
pub(super) fn say_what_is_absent() {
    for program in PROGRAMS.iter().filter(|program| !is_installed(program)) {
        eprintln!("SKIPPED: {program} is not installed (apt-get install {program})");
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin".into(), "/sbin".into()];
    std::env::split_paths(&path).chain(usual).any(|folder| folder.join(program).is_file())
}

impl Tool {
    /// What it is called in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Tool::Agent => "netbox-agent",
            Tool::AgentUnprivileged => "netbox-agent, no capability",
            Tool::ArpScan => "arp-scan",
            Tool::ArpScanFast => "arp-scan, fast",
            Tool::ArpScanThrice => "arp-scan, fast, 3 tries",
            Tool::Nmap => "nmap -sn",
            Tool::NmapFast => "nmap -sn, fast",
            Tool::NmapPort => "nmap -sS, fast",
            Tool::Fping => "fping",
            Tool::FpingFast => "fping, fast",
            Tool::MasscanFast => "masscan --arpscan",
            Tool::MasscanPort => "masscan, port",
            Tool::Zmap => "zmap, echo",
            Tool::ZmapPort => "zmap, port",
        }
    }

    /// Whether it is the one that is compared with the others.
    pub(super) const fn is_ours(self) -> bool {
        matches!(self, Tool::Agent | Tool::AgentUnprivileged)
    }

    pub(super) fn is_there(self) -> bool {
        self.is_ours()
            || PROGRAMS
                .iter()
                .any(|program| self.name().starts_with(program) && is_installed(program))
    }

    /// What to run.
    pub(super) fn command(self, case: &Case, agent: &Path) -> Vec<String> {
        let subnet = case.subnet.as_str();
        let port = PORT.to_string();
        let agent = agent.display().to_string();
        let words = match self {
            Tool::Agent | Tool::AgentUnprivileged => {
                let mut words =
                    vec![agent.as_str(), "scan", "--format", "json", "--subnet", subnet];
                words.extend(match case.how {
                    How::Max => &["--rate", "max"][..],
                    How::Polite => &["--rate", "500"],
                    How::Default => &[],
                });
                if case.by_tcp {
                    words.extend(["--ports", &port]);
                }
                if self == Tool::AgentUnprivileged {
                    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all";
                    words.splice(0..0, nobody.split(' '));
                }
                return words.into_iter().map(str::to_owned).collect();
            }
            Tool::ArpScan => format!("arp-scan -I {SCANNER} {subnet}"),
            Tool::ArpScanFast => {
                format!("arp-scan -I {SCANNER} -q -g -i 5u -r 2 -t 60 -b 1 {subnet}")
            }
            Tool::ArpScanThrice => {
                format!("arp-scan -I {SCANNER} -q -g -i 5u -r 3 -t 60 -b 1 {subnet}")
            }
            Tool::Nmap => format!("nmap -sn -n -oG - {subnet}"),
            Tool::NmapFast => {
                format!("nmap -sn -n -T5 --min-rate 100000 --max-retries 1 -oG - {subnet}")
            }
            Tool::NmapPort => {
                format!(
                    "nmap -sS -n -T5 --min-rate 100000 --max-retries 1 -p {port} --open -oG - {subnet}"
                )
            }
            Tool::Fping => format!("fping -a -q -g {subnet}"),
            Tool::FpingFast => format!("fping -a -q -i 1 -r 1 -t 100 -g {subnet}"),
            Tool::MasscanFast => format!(
                "masscan --arpscan {subnet} -e {SCANNER} --router-mac 02-00-00-00-00-01 --rate 200000 --wait 2"
            ),
            Tool::MasscanPort => format!(
                "masscan {subnet} -p {port} -e {SCANNER} --router-mac 02-00-00-00-00-01 --rate 200000 --wait 2"
            ),
            Tool::Zmap => format!(
                "zmap -M icmp_echoscan -i {SCANNER} -S 10.77.0.1 -G 02:00:00:00:00:01 -r 200000 -c 2 -q -b /dev/null -o - {subnet}"
            ),
            Tool::ZmapPort => format!(
                "zmap -M tcp_synscan -p {port} -i {SCANNER} -S 10.77.0.1 -G 02:00:00:00:00:01 -r 200000 -c 2 -q -b /dev/null -o - {subnet}"
            ),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    /// The version of each program that is there.
    pub(super) fn versions() -> Vec<String> {
        let first_number = |program: &str| {
            let flag = if program == "fping" { "-v" } else { "--version" };
            let output = Command::new(program).arg(flag).output().ok()?;
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            let word = text.split_whitespace().find(|word| {
                word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.')
            })?;
            Some(format!("{program} {word}"))
        };
        PROGRAMS.iter().filter_map(|program| first_number(program)).collect()
    }
}
