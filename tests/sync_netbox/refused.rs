//! What a person reads when a NetBox cannot be used: one line, and nothing is written.

use std::net::TcpListener;

use crate::place::{Agent, everywhere};

#[test]
fn a_wrong_token_is_one_line_and_nothing_is_written() {
    everywhere(|place| {
        let agent = Agent::of(place);
        agent.configure_for(&agent.relay.url, &"0f".repeat(20), "");
        for verb in ["plan", "sync"] {
            let end = agent.run(&[verb]).expect(1);
            let told = end.complaint();
            assert!(told.contains("does not accept the token: Invalid"), "{told}");
            assert!(told.contains("check `token`"), "{told}");
            assert!(!told.contains("0f0f"), "{told}");
        }
        assert!(agent.asked().writes().is_empty());
    });
}

#[test]
fn a_token_for_reading_plans_and_is_refused_to_write() {
    everywhere(|place| {
        let Some(token) = &place.read_only else {
            return;
        };
        let agent = Agent::of(place);
        agent.configure_for(&agent.relay.url, token, "");
        agent.run(&["plan", "--detailed-exit-code"]).expect(5);
        let end = agent.run(&["sync"]).expect(1);
        assert!(end.err.contains("permission") || end.out.contains("permission"), "{end:?}");
        assert_eq!(agent.asked().made, []);
    });
}

#[test]
fn a_netbox_that_is_not_there_is_one_line() {
    everywhere(|place| {
        let agent = Agent::of(place);
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        agent.configure_for(&format!("http://127.0.0.1:{port}"), &place.token, "timeout = \"2s\"");
        let end = agent.run(&["sync"]).expect(1);
        let told = end.complaint();
        assert!(told.contains("cannot reach http://127.0.0.1:"), "{told}");
        assert!(told.contains("the connection was refused"), "{told}");
    });
}

#[test]
fn what_is_no_netbox_is_said_to_be_none() {
    everywhere(|place| {
        let agent = Agent::of(place);
        agent.configure_for(&format!("{}/elsewhere", agent.relay.url), &place.token, "");
        let end = agent.run(&["sync"]).expect(1);
        let told = end.complaint();
        assert!(told.contains("is not a NetBox") && told.contains("check `url`"), "{told}");
    });
}
