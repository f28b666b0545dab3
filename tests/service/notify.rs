//! The protocol that a service speaks to its manager, heard at the other end of the socket.

#[cfg(target_os = "linux")]
mod heard {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;
    use std::time::Duration;

    use mcpkeel::system::{Programs as _, Real, service_manager};

    use crate::support::Sandbox;

    /// Not a test by itself: the next one runs it as a service would be run.
    #[test]
    #[ignore = "run by the test that listens"]
    fn speaker() {
        service_manager::status("in sync\nREADY=1");
        service_manager::ready();
        service_manager::reloading();
        service_manager::keep_alive();
        service_manager::stopping();
        // What it starts hears nothing of the manager.
        let argv =
            ["sh", "-c", "echo inherited: $NOTIFY_SOCKET$WATCHDOG_USEC$WATCHDOG_PID"].map(str::to_owned);
        let ran = Real.run(&argv, std::path::Path::new("/"), Duration::from_secs(10)).expect("sh runs");
        println!("{}watchdog: {:?}", String::from_utf8_lossy(ran.out.expose()), service_manager::watchdog());
    }

    #[test]
    fn a_manager_hears_each_word_and_children_know_nothing_of_it() {
        let home = Sandbox::new();
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let out = speak(|command| command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "120000000"));
        let hear = || {
            let mut bytes = [0; 4096];
            let length = socket.recv(&mut bytes).expect("a message");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        assert_eq!(hear(), "STATUS=in sync READY=1\n");
        assert_eq!(hear(), "READY=1\n");
        let reloading = hear();
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(hear(), "WATCHDOG=1\n");
        assert_eq!(hear(), "STOPPING=1\n");
        assert!(out.contains("inherited:\nwatchdog: Some(120s)"), "{out}");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        assert!(speak(|command| command).contains("watchdog: None"));
        // One that is gone is no reason to fail either.
        let gone = Sandbox::new().path("gone");
        speak(|command| command.env("NOTIFY_SOCKET", &gone));
    }

    /// Runs the speaker in a process of its own, since its environment is what matters.
    #[track_caller]
    fn speak(with: impl FnOnce(&mut Command) -> &mut Command) -> String {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "service::notify::heard::speaker", "--ignored", "--nocapture"]);
        for name in service_manager::VARIABLES {
            command.env_remove(name);
        }
        let output = with(&mut command).output().expect("it starts");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && out.contains("1 passed"), "{out}");
        out
    }
}

#[cfg(not(target_os = "linux"))]
#[test]
fn there_is_no_manager_to_speak_to() {
    use mcpkeel::system::service_manager;
    service_manager::ready();
    assert_eq!(service_manager::watchdog(), None);
}
