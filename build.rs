//! Build script shared by the leaves (`build = "../../build.rs"`): stamps version, commit and target into the artefact.
//! Only leaves use it, so that a new commit relinks programs and rebuilds no library.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=ARBLAST_BUILD");
    for path in ["HEAD", "index"] {
        if let Some(file) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    let build = std::env::var("ARBLAST_BUILD")
        .ok()
        .or_else(|| git(&["describe", "--always", "--dirty", "--abbrev=12"]))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=ARBLAST_BUILD={build}");
    println!("cargo:rustc-env=ARBLAST_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
