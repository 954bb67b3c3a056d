//! The commands of README.md and of the migration guide, run in order, and the output that the README shows.

use std::fs;

use riskform::sandbox::Settings;

use crate::support::{SandboxServer, TestDir, serve};

const ACCOUNT: &str = "f037e56e89293a057740de681ac9abbe";
const QUICKSTART: &str = "examples/quickstart.yaml";

/// Commands that this test cannot run. `.ci/run` runs the first one itself, and `.ci/packages` builds the program.
const OTHERS: [&str; 3] = [
    "cargo test",
    "cargo install --locked --path .",
    "export CLOUDFLARE_API_TOKEN=… CLOUDFLARE_ACCOUNT_ID=…",
];

/// Returns the fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    (text.split(begin.as_str()).skip(1))
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn shown_plan_is_the_plan_of_the_shown_file() {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_server, workplace) = serve(blocks(&readme, "yaml")[0]);
    workplace.line("fmt --check").exits(0);
    let run = workplace.line("plan").exits(0);
    let shown = blocks(&readme, "console")[0];
    let expected = format!("$ riskform plan\n{}", run.stdout);
    // As for snapshots.
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write("README.md", readme.replace(shown, &expected)).unwrap();
    } else {
        assert_eq!(shown, expected);
    }
}

#[test]
fn commands_succeed_in_their_order() {
    let table: [(&str, &[&str]); 2] = [
        ("README.md", &["apply", "doctor", "init", "plan", "apply"]),
        ("examples/terraform-migration/README.md", &["init", "plan"]),
    ];
    for (document, expected) in table {
        let text = fs::read_to_string(document).unwrap();
        let server = SandboxServer::start(Settings::default());
        let mut workplace = TestDir::with(&server);
        workplace.set("CLOUDFLARE_ACCOUNT_ID", ACCOUNT);
        fs::create_dir(workplace.path("examples")).unwrap();
        workplace.write(QUICKSTART, &fs::read_to_string(QUICKSTART).unwrap());
        let lines = text.lines().map(str::trim_start).collect::<Vec<_>>();
        let text = lines.join("\n");
        let mut commands = Vec::new();
        for line in blocks(&text, "sh").into_iter().flat_map(str::lines) {
            let line = line.split("  #").next().unwrap().trim();
            let arguments = line
                .strip_prefix("cargo run -- ")
                .or_else(|| line.strip_prefix("riskform "));
            let Some(arguments) = arguments else {
                assert!(OTHERS.contains(&line), "{document}: {line}");
                continue;
            };
            let mut arguments = shlex::split(arguments).unwrap();
            commands.push(arguments[0].clone());
            if arguments == ["apply"] {
                arguments.push("--auto-approve".to_owned());
            }
            let run = workplace.run(&arguments).exits(0);
            if arguments[0] == "plan" {
                assert!(run.stdout.starts_with("No changes."), "{}", run.stdout);
            }
        }
        assert_eq!(commands, expected, "{document}");
    }
}
