//! `--ci`: what pipelines pick up.

use insta::assert_snapshot;
use riskform::sandbox::Settings;

use crate::riskform::{SandboxServer, Workplace};

const FILE: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors: { sentinel_one: { enabled: true } }
integrations: { okta: { tenant_url: https://corp.okta.com } }
";

#[test]
fn github_gets_a_summary_and_outputs_that_are_appended() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = Workplace::with(&server);
    workplace.write("riskform.yaml", FILE);
    workplace.set("GITHUB_STEP_SUMMARY", "summary.md");
    workplace.set("GITHUB_OUTPUT", "output");
    workplace.write("output", "earlier=1\n");

    workplace.run(&["plan"]);
    assert_eq!(
        workplace.read("output"),
        "earlier=1\n",
        "without --ci nothing is written"
    );

    let run = workplace.run(&["plan", "--ci"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_snapshot!(workplace.read("output"), @r###"
    earlier=1
    has_changes=true
    create=1
    update=1
    replace=0
    delete=0
    unchanged=0
    unlisted=3
    weakening=0
    failed_accounts=0
    "###);
    let summary = workplace.read("summary.md");
    assert!(
        summary.starts_with("### riskform plan: 1 to create, 1 to update"),
        "{summary}"
    );

    workplace.run(&["apply", "--ci", "--auto-approve"]);
    workplace.run(&["drift", "--ci"]);
    let titles: Vec<_> = workplace
        .read("summary.md")
        .lines()
        .filter(|line| line.starts_with("###"))
        .map(str::to_owned)
        .collect();
    assert_snapshot!(titles.join("\n"), @r###"
    ### riskform plan: 1 to create, 1 to update, 0 to replace, 0 to delete
    ### riskform apply complete: 1 created, 1 updated, 0 replaced, 0 deleted
    ### riskform drift: 0 differ, 1 unlisted
    "###);
    let outputs = workplace.read("output");
    assert_eq!(
        outputs.matches("has_changes=true\n").count(),
        3,
        "what is unlisted is drift"
    );
}

#[test]
fn gitlab_gets_variables() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = Workplace::with(&server);
    workplace.write("riskform.yaml", FILE);
    workplace.set("GITLAB_CI", "true");
    workplace.run(&["drift", "--ci"]);
    assert_snapshot!(workplace.read("riskform.env"), @r###"
    RISKFORM_HAS_CHANGES=true
    RISKFORM_CREATE=1
    RISKFORM_UPDATE=1
    RISKFORM_REPLACE=0
    RISKFORM_DELETE=0
    RISKFORM_UNCHANGED=0
    RISKFORM_UNLISTED=3
    RISKFORM_WEAKENING=0
    RISKFORM_FAILED_ACCOUNTS=0
    "###);
}

#[test]
fn what_a_pipeline_cannot_be_told_is_a_warning() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = Workplace::with(&server);
    workplace.write("riskform.yaml", FILE);
    workplace.set("GITHUB_OUTPUT", "no/such/folder");
    let run = workplace.run(&["plan", "--ci"]);
    assert_eq!(run.code, 0);
    assert_snapshot!(run.stderr, @r###"warning: no/such/folder can't be written: No such file or directory (os error 2)"###);
}
