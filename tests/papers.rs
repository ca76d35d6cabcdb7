//! What the papers say is so: the commands of the README are those that are run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn ci_runs_exactly_the_readmes_test_command() {
    let readme = read("README.md");
    let (_, after) =
        readme.split_once("The tests:\n\n```sh\n").expect("the README has the command");
    let (command, _) = after.split_once("\n```").unwrap();
    let ci = read(".ci/run");
    assert_eq!(ci.lines().last(), Some(command), ".ci/run ends with the README's test command");
}

#[test]
fn the_readmes_first_command_finds_hosts_and_prints_them() {
    let readme = read("README.md");
    let (_, after) =
        readme.split_once("print that.\n\n```sh\n").expect("the README has the command");
    let (commands, _) = after.split_once("\n```").unwrap();
    // It is run as it stands, but for the build, at the root of a repository.
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("config")).unwrap();
    std::fs::write(root.path().join("config/loopback.toml"), read("config/loopback.toml")).unwrap();
    let built = commands.replace("cargo run --locked --", env!("CARGO_BIN_EXE_netbox-agent"));
    assert_ne!(built, commands);
    let ended = Command::new("sh").args(["-c", &built]).current_dir(root.path()).output().unwrap();
    let printed = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{printed}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(printed.contains("127.0.0.1"), "{printed}");
    assert!(root.path().join("target/loopback").is_dir(), "it keeps to the repository");
}

#[test]
fn links_within_the_repository_lead_somewhere() {
    let readme = read("README.md");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let own: Vec<&str> =
        links.filter(|link| !link.contains("://") && !link.starts_with('#')).collect();
    assert!(!own.is_empty());
    for link in own {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{link}");
    }
}

#[test]
fn the_readmes_observation_can_be_read() {
    use netbox_agent::collect::wire;
    let readme = read("README.md");
    let (_, after) = readme.split_once("```json\n").unwrap();
    let (lines, _) = after.split_once("```").unwrap();
    let context = wire::Context {
        source: Some("shelf".parse().unwrap()),
        segment: Default::default(),
        at: "2024-05-01T12:00:00Z".parse().unwrap(),
        evidence: "readme".into(),
        place: "README.md".into(),
    };
    let harvest = wire::read(lines.as_bytes(), &context).unwrap();
    assert_eq!((harvest.observations.len(), harvest.diagnostics.len()), (1, 0), "{harvest:?}");
}
