//! What servers complain about.

use std::time::Duration;

use super::crew::{Crew, SERVER, in_runtime, rules};
use super::tree::so;

#[test]
fn what_a_server_says_on_its_standard_error_is_logged_and_faults_beside_it() {
    in_runtime(async {
        let crew = Crew::new();
        let script = format!("echo '[WARN] canary-4711 is weak' >&2; echo 'no message at all'; {SERVER}");
        crew.supervisor.set(vec![crew.spec("one", &script, rules("{}"))]);
        let server = crew.supervisor.server("one").expect("there");
        server.ready().await.expect("greeted");
        so("a line", Duration::from_secs(5), || crew.log("one").contains(" warn stderr ")).await;
        server.stop().await;
        let log = crew.log("one");
        assert!(log.contains(" warn stderr [WARN] •••••• is weak\n"), "{log}");
        assert!(log.contains(" warn protocol "), "{log}");
        assert!(log.contains(" info mcpkeel started as process "), "{log}");
        assert!(log.contains("shell 1.2.3 (legacy)\n"), "{log}");
        assert!(!log.contains("canary"), "{log}");
        assert_eq!(server.standing().warnings, 2);
        crew.supervisor.stop().await;
    });
}

#[test]
fn a_server_that_floods_its_standard_error_still_answers() {
    in_runtime(async {
        let crew = Crew::new();
        let script = format!("yes 'error: a line that is repeated for ever' >&2 & {SERVER}");
        crew.supervisor.set(vec![crew.spec("one", &script, rules("{}"))]);
        let server = crew.supervisor.server("one").expect("there");
        let peer = server.ready().await.expect("greeted");
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            slowest = slowest.max(peer.ping(Duration::from_secs(5)).await.expect("an answer"));
        }
        println!("the slowest answer under a flood took {slowest:?}");
        let size: u64 = ["", ".1", ".2"]
            .iter()
            .filter_map(|ending| {
                let path = crew.dir.path().join(format!("state/logs/one.log{ending}"));
                std::fs::metadata(path).ok().map(|meta| meta.len())
            })
            .sum();
        assert!(size < 3 << 20, "{size}");
        assert!(server.standing().errors >= 900);
        crew.supervisor.stop().await;
    });
}
