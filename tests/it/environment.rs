//! Environment variables, proxies, certificates, and limits of the process.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use riskform::sandbox::Settings;

use crate::support::{Run, SandboxServer, TestDir};

const FILE: &str = "version: 1\naccount_id: 023e105f4ecef8ad9ca31a8372d0c353\n";

fn directory() -> TestDir {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", FILE);
    workplace.set("CLOUDFLARE_API_TOKEN", "token");
    workplace
}

fn run(variables: &[(&str, &[u8])]) -> Run {
    let workplace = directory();
    let mut command = workplace.command(&["plan", "--sandbox"]);
    for (name, value) in variables {
        command.env(name, OsStr::from_bytes(value));
    }
    Run::from(command.output().unwrap())
}

#[test]
fn variable_that_is_not_utf8_is_an_error_naming_it() {
    for (name, code) in [
        ("RISKFORM_LIMITS", 1),
        ("RISKFORM_NOTIFY", 1),
        ("RISKFORM_VAR_TENANT", 1),
        ("CUSTOMER_ACCOUNT_ID", 1),
        ("CLOUDFLARE_API_TOKEN", 1),
        ("CLOUDFLARE_PRODUCTION_TOKEN", 1),
        ("CLOUDFLARE_BASE_URL", 1),
        ("https_proxy", 1),
        ("NO_PROXY", 1),
        ("USER", 1),
        ("HOME", 0),
        ("XDG_STATE_HOME", 0),
        ("SOMETHING_ELSE", 0),
    ] {
        let run = run(&[(name, b"/caf\xe9")]);
        assert_eq!(run.code, code, "{name}: {}", run.shown());
        let expected = format!("{name} is not valid UTF-8");
        assert_eq!(run.stderr.contains(&expected), code == 1, "{}", run.shown());
    }
}

#[test]
fn empty_variable_counts_as_unset_except_the_limits() {
    let empty = run(&[("RISKFORM_LIMITS", b"")]);
    assert_eq!(empty.code, 1, "{}", empty.shown());
    empty.says("RISKFORM_LIMITS is empty");
    let missing = run(&[("RISKFORM_LIMITS", b"missing.yaml")]);
    assert_eq!(missing.code, 1, "{}", missing.shown());
    missing.says("missing.yaml");

    let mut workplace = directory();
    for name in [
        "CLOUDFLARE_BASE_URL",
        "HTTPS_PROXY",
        "NO_PROXY",
        "RISKFORM_NOTIFY",
    ] {
        workplace.set(name, "");
    }
    // The discard port is closed, and no request may be sent directly.
    workplace.set("https_proxy", "127.0.0.1:9");
    let run = workplace.line("plan").exits(1);
    run.says("through proxy 127.0.0.1:9 (https_proxy)");
}

#[test]
fn help_names_the_proxy_only_if_it_was_used() {
    let mut workplace = directory();
    workplace.set("HTTPS_PROXY", "http://127.0.0.1:9");
    workplace.set("NO_PROXY", "127.0.0.0/8");
    let run = workplace
        .line("plan --base-url https://127.0.0.1:9/client/v4")
        .exits(1);
    run.says("cannot connect");
    assert!(!run.stderr.contains("HTTPS_PROXY"), "{}", run.shown());
}

#[test]
fn missing_certificate_file_is_named_by_its_variable() {
    let mut workplace = directory();
    workplace.set("SSL_CERT_FILE", "/etc/ssl/none.pem");
    let run = workplace
        .line("plan --base-url https://127.0.0.1:9/client/v4")
        .exits(1);
    run.says("SSL_CERT_FILE");
}

#[test]
fn invalid_block_of_a_ca_bundle_is_named_before_the_first_request() {
    let workplace = directory();
    workplace.write(
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let run = workplace.line("plan --ca-bundle ca.pem").exits(1);
    let expected = "--ca-bundle ca.pem: invalid certificate in block 1 (line 1): ";
    run.says(expected);
}

/// Each account needs two connections.
#[test]
fn soft_limit_of_open_files_is_raised() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let accounts = (0..30).map(|n| format!("version: 1\naccount_id: {n:032x}\n"));
    workplace.write("fleet.yaml", &accounts.collect::<Vec<_>>().join("---\n"));
    let drift = ["drift", "fleet.yaml", "--parallelism", "30", "--expand"];
    let mut shell = workplace.shell("ulimit -Sn 24 && exec \"$@\"", &drift);
    let run = Run::from(shell.output().unwrap());
    assert!(
        !run.shown().contains("Too many open files"),
        "{}",
        run.shown()
    );
    assert_eq!(run.code, 2, "{}", run.shown());
}

#[test]
fn absolute_path_needs_no_working_directory() {
    let workplace = directory();
    let gone = workplace.path("gone");
    std::fs::create_dir(&gone).unwrap();
    for (file, code, expected) in [
        (workplace.path("riskform.yaml"), 0, ""),
        (
            "other.yaml".into(),
            1,
            "the working directory no longer exists",
        ),
    ] {
        std::fs::create_dir_all(&gone).unwrap();
        let mut shell = workplace.shell("rmdir ../gone && exec \"$@\"", &["validate"]);
        let output = shell.arg(file).current_dir(&gone).output();
        let run = Run::from(output.unwrap());
        assert_eq!(run.code, code, "{}", run.shown());
        run.says(expected);
    }
}
