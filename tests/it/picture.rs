//! The picture of an apply at the top of the README: drawn from a real run on a terminal, so that it can't show what the program doesn't
//! print. `RISKFORM_PICTURE=write cargo test --test it picture` draws it anew.

use std::fmt::Write;
use std::process::Stdio;

use rexpect::session::spawn_command;

use crate::riskform::TestDir;

const PICTURE: &str = "examples/apply.svg";

#[test]
fn the_picture_shows_what_the_program_prints() {
    let workplace = TestDir::new();
    let file = workplace.path("examples/quickstart.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::copy("examples/quickstart.yaml", &file).unwrap();
    let arguments = ["apply", "examples/quickstart.yaml", "--sandbox"];
    let mut command = workplace.command(&arguments);
    // The terminal brings its own input.
    command
        .env("TERM", "xterm-256color")
        .stdin(Stdio::inherit());
    let mut terminal = spawn_command(command, Some(60_000)).unwrap();
    let question = "Only 'yes' is accepted: ";
    let before = terminal.exp_string(question).unwrap();
    terminal.send_line("yes").unwrap();
    let after = terminal.exp_eof().unwrap();
    // The terminal was told not to echo, and its bytes come as one character each.
    let printed = format!("{before}{question}yes\n{after}");
    let printed: Vec<u8> = printed.chars().map(|c| c as u8).collect();
    let printed = String::from_utf8(printed).unwrap();
    let transcript = format!("$ riskform {}\n{printed}", arguments.join(" "));
    let drawn = svg(&settled(&transcript));
    if std::env::var("RISKFORM_PICTURE").is_ok_and(|what| what == "write") {
        std::fs::write(PICTURE, &drawn).unwrap();
    }
    let picture = std::fs::read_to_string(PICTURE).unwrap_or_default();
    assert!(
        picture == drawn,
        "{PICTURE} is not what the program prints any more:\n{drawn}"
    );
}

/// What stands on the terminal in the end: without what progress overwrote, and without the one id that is made up.
fn settled(transcript: &str) -> Vec<String> {
    let url = "sse-configuration/";
    transcript
        .lines()
        .map(|line| line.rsplit("\u{1b}[2K").next().unwrap_or_default())
        .map(|line| {
            line.trim_end_matches('\r')
                .rsplit('\r')
                .next()
                .unwrap_or_default()
        })
        .map(|line| match line.split_once(url) {
            Some((before, id)) => format!("{before}{url}…{}", id.get(36..).unwrap_or_default()),
            None => line.to_owned(),
        })
        .collect()
}

/// Lines with their colors as a picture of a terminal.
fn svg(lines: &[String]) -> String {
    const WIDTH: usize = 900;
    const LINE: usize = 19;
    let height = lines.len() * LINE + 40;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\">\n\
         <title>riskform apply: the plan, the answer yes, and Apply complete</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"13\" fill=\"#e6edf3\" xml:space=\"preserve\">\n"
    );
    for (at, line) in lines.iter().enumerate() {
        let y = 30 + at * LINE;
        write!(svg, "<text x=\"20\" y=\"{y}\">").unwrap();
        for (at, part) in line.split("\u{1b}[").enumerate() {
            let (style, text) = match part.split_once('m') {
                Some((code, text)) if at > 0 => (style(code), text),
                _ => ("", part),
            };
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            match style {
                "" => svg.push_str(&text),
                style => write!(svg, "<tspan {style}>{text}</tspan>").unwrap(),
            }
        }
        svg.push_str("</text>\n");
    }
    svg + "</g>\n</svg>\n"
}

fn style(code: &str) -> &'static str {
    match code {
        "1" => "font-weight=\"bold\"",
        "2" => "fill=\"#8b949e\"",
        "31" => "fill=\"#f85149\"",
        "32" => "fill=\"#3fb950\"",
        "33" => "fill=\"#d29922\"",
        _ => "",
    }
}
