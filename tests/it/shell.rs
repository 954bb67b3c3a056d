//! What makes riskform at home in a shell: completions and manual pages.

use std::process::Command;

use crate::riskform::Workplace;

#[test]
fn every_shell_gets_completions() {
    let workplace = Workplace::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let run = workplace.run(&["completions", shell]);
        assert_eq!(run.code, 0, "{shell}");
        for word in ["doctor", "auto-approve", "min-level"] {
            assert!(run.stdout.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(workplace.run(&["completions", "cmd"]).code, 64);
    let script = workplace.run(&["completions", "bash"]).stdout;
    let bash = Command::new("bash").args(["-n", "-c", &script]).output();
    assert!(bash.unwrap().status.success());
}

#[test]
fn every_command_has_a_manual_page() {
    let workplace = Workplace::new();
    assert!(workplace.run(&["man"]).stdout.contains(".TH riskform 1"));
    assert_eq!(workplace.run(&["man", "--out", "pages/man1"]).code, 0);
    for page in [
        "riskform",
        "riskform-plan",
        "riskform-get",
        "riskform-get-users",
        "riskform-doctor",
    ] {
        assert!(
            workplace
                .read(&format!("pages/man1/{page}.1"))
                .contains(".SH"),
            "{page}"
        );
    }
}
