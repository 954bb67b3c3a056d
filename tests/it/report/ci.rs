//! `--ci`: results for CI jobs.

use insta::assert_snapshot;

use crate::support::{TestDir, serve};

const FILE: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors: { sentinel_one: { enabled: true } }
integrations: { okta: { tenant_url: https://corp.okta.com } }
";

#[test]
fn github_gets_appended_summary_and_outputs() {
    let (_server, mut workplace) = serve(FILE);
    workplace.set("GITHUB_STEP_SUMMARY", "summary.md");
    workplace.set("GITHUB_OUTPUT", "output");
    workplace.write("output", "earlier=1\n");

    workplace.line("plan");
    assert_eq!(
        workplace.read("output"),
        "earlier=1\n",
        "no outputs without --ci"
    );

    let run = workplace.line("plan --ci --quiet --out saved.plan");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let outputs = workplace.read("output");
    for line in [
        "earlier=1",
        "has_changes=true",
        "create=1",
        "update=1",
        "delete=0",
        "unlisted=3",
        "failed_accounts=0",
        "exit_code=0",
    ] {
        assert!(
            outputs.lines().any(|output| output == line),
            "{line}: {outputs}"
        );
    }
    for start in ["live_weaker=", "digest=sha256:"] {
        assert!(
            outputs.lines().any(|output| output.starts_with(start)),
            "{start}: {outputs}"
        );
    }
    let summary = workplace.read("summary.md");
    assert!(
        summary.starts_with("### riskform plan: 1 to create, 1 to update"),
        "{summary}"
    );

    workplace.line("apply --ci --auto-approve");
    workplace.line("drift --ci");
    let titles: Vec<_> = workplace
        .read("summary.md")
        .lines()
        .filter(|line| line.starts_with("###"))
        .map(str::to_owned)
        .collect();
    assert_snapshot!(titles.join("\n"), @r#"
    ### riskform plan: 1 to create, 1 to update
    ### riskform apply complete: 1 created, 1 updated
    ### riskform drift: 1 unlisted integration
    "#);
    let outputs = workplace.read("output");
    assert_eq!(
        outputs.matches("has_changes=true\n").count(),
        3,
        "unlisted resources are drift"
    );
}

#[test]
fn gitlab_gets_variables() {
    let (_server, mut workplace) = serve(FILE);
    workplace.set("GITLAB_CI", "true");
    workplace.line("drift --ci");
    let variables = workplace.read("riskform.env");
    for line in [
        "RISKFORM_HAS_CHANGES=true",
        "RISKFORM_CREATE=1",
        "RISKFORM_UPDATE=1",
        "RISKFORM_UNLISTED=3",
        "RISKFORM_FAILED_ACCOUNTS=0",
        "RISKFORM_EXIT_CODE=2",
    ] {
        assert!(
            variables.lines().any(|output| output == line),
            "{line}: {variables}"
        );
    }
    assert!(variables.contains("RISKFORM_LIVE_WEAKER="), "{variables}");
}

#[test]
fn failed_write_to_ci_is_a_warning() {
    let (_server, mut workplace) = serve(FILE);
    workplace.set("GITHUB_OUTPUT", "no/such/directory");
    let run = workplace.line("plan --ci").exits(0);
    assert_snapshot!(run.stderr, @r###"warning: cannot write no/such/directory: No such file or directory (os error 2)"###);
}

const MISTAKES: &str = "version: 1
account_id: 0a000000000000000000000000000000
behaviors:
  imp_travel: { risk_levl: high }
";

#[test]
fn ci_job_gets_errors() {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", MISTAKES);
    workplace.set("GITHUB_ACTIONS", "true");
    workplace.set("GITHUB_STEP_SUMMARY", "summary.md");
    workplace.set("GITHUB_OUTPUT", "output");
    let run = workplace.line("plan --ci").exits(1);
    assert_eq!(workplace.read("output"), "exit_code=1\n");
    let annotations: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("::"))
        .collect();
    let [annotation] = annotations.as_slice() else {
        panic!("{}", run.shown());
    };
    assert!(
        annotation.starts_with("::error file=riskform.yaml,line=4,col=17,"),
        "{annotation}"
    );
    assert!(annotation.contains("title=unknown-key::"), "{annotation}");
    assert!(
        annotation.contains("%0Adid you mean `risk_level`?"),
        "{annotation}"
    );
    let summary = workplace.read("summary.md");
    assert!(
        summary.starts_with("### riskform: nothing was done (exit 1)\n\n    error[unknown-key]"),
        "{summary}"
    );

    workplace.write("riskform.yaml", FILE);
    workplace.write("output", "");
    let run = workplace.line("plan --ci");
    let output = workplace.read("output");
    assert_eq!(run.code, 6);
    assert!(output.contains("failed_accounts=1\n"), "{output}");
    assert!(output.ends_with("exit_code=6\n"), "{output}");
    run.says("\n::error title=riskform::CLOUDFLARE_API_TOKEN is not set");
    assert!(
        workplace
            .read("summary.md")
            .contains("CLOUDFLARE_API_TOKEN is not set")
    );
}

#[test]
fn gitlab_gets_diagnostics_as_code_quality() {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", MISTAKES);
    workplace.set("GITLAB_CI", "true");
    assert_eq!(workplace.line("validate --ci").code, 1);
    assert_eq!(workplace.read("riskform.env"), "RISKFORM_EXIT_CODE=1\n");
    let report: serde_json::Value =
        serde_json::from_str(&workplace.read("gl-code-quality-report.json")).unwrap();
    let finding = &report[0];
    assert_eq!(finding["check_name"], "unknown-key");
    assert_eq!(finding["severity"], "major");
    assert_eq!(finding["location"]["path"], "riskform.yaml");
    assert_eq!(finding["location"]["lines"]["begin"], 4);
    assert_eq!(finding["fingerprint"].as_str().map(str::len), Some(64));
}

#[test]
fn unformatted_file_is_annotated() {
    let mut directory = TestDir::new();
    directory.write(
        "riskform.yaml",
        "version:   1\naccount_id: 0a000000000000000000000000000000\n",
    );
    directory.set("GITHUB_ACTIONS", "true");
    let run = directory.line("fmt --check --ci").exits(1);
    let annotation = "::error file=riskform.yaml,title=fmt::not formatted; run `riskform fmt`";
    assert!(
        run.stderr.lines().any(|line| line == annotation),
        "{}",
        run.shown()
    );
}
