use std::fs;

use super::*;

/// A directory of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("itemsimilarity-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn run(&self, purchase: &[u8], view: &[u8], threads: usize) -> Result<String, Error> {
        let [bought, seen] = [("purchase", purchase), ("view", view)].map(|(name, text)| {
            let path = self.0.join(format!("{name}.csv"));
            fs::write(&path, text).unwrap();
            (name.to_owned(), path)
        });
        let output = self.0.join("out.jsonl");
        let options = Options {
            indicators: vec![bought, seen],
            output: output.clone(),
            max_correlators: 50,
            max_prefs: 500,
            min_llr: None,
            seed: 1,
            threads,
        };
        let summary = run(&options, &|_, _, _| ())?;
        let text = fs::read_to_string(output).unwrap();
        assert_eq!(text.matches("[\"").count() as u64, summary.correlators);
        Ok(text)
    }

    fn failure(&self, purchase: &[u8]) -> String {
        let error = self.run(purchase, b"u,v\n", 2).unwrap_err().to_string();
        assert_eq!(
            fs::read_dir(&self.0)
                .unwrap()
                .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().contains("out") })
                .count(),
            0,
            "a failed run leaves an output"
        );
        error.split_once("purchase.csv, ").unwrap().1.to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn line_ends_separators_and_escapes() {
    let place = Place::new("forms");
    let text = place.run(b"u1,a\r\n\r\nu1\t\"q\\\"\n\nu2,b\nu1,a", b"u1,\x01\xc3\xa4\nu3,x\n", 1).unwrap();
    let expected =
        "{\"item\":\"\\\"q\\\\\\\"\",\"indicator\":\"purchase\",\"correlators\":[[\"a\",2.772588722239781]]}
{\"item\":\"\\\"q\\\\\\\"\",\"indicator\":\"view\",\"correlators\":[[\"\\u0001ä\",2.772588722239781]]}
{\"item\":\"a\",\"indicator\":\"purchase\",\"correlators\":[[\"\\\"q\\\\\\\"\",2.772588722239781]]}
{\"item\":\"a\",\"indicator\":\"view\",\"correlators\":[[\"\\u0001ä\",2.772588722239781]]}
";
    assert_eq!(text, expected);
}

#[test]
fn bad_lines_are_named() {
    let place = Place::new("bad");
    let rule = "; expected user,item (comma or tab, no quoting)";
    for (text, reason) in [
        (&b"u,i\n\nu"[..], "line 3: there is no separator"),
        (b"u,i\nu\n", "line 2: there is no separator"),
        (b",i\n", "line 1: the user is empty"),
        (b"u,\r\n", "line 1: the item is empty"),
        (b"u,i\nu,i,3\n", "line 2: there are more than two fields"),
        (b"u,i\nu,i\nu,\xff\n", "line 3: not UTF-8"),
        (b"u,i\nbad\nu,\xff\n", "line 2: there is no separator"),
    ] {
        assert_eq!(place.failure(text), format!("{reason}{rule}"));
    }
    let mut long = b"u,i\n".repeat(900_000);
    long[2_000_001] = b'x'; // one line of four, far from the start
    assert_eq!(place.failure(&long), format!("line 500001: there is no separator{rule}"));
    let endless = vec![b'x'; 5 << 20];
    assert!(place.failure(&endless).starts_with("line 1: "));
}

#[test]
fn any_number_of_threads_writes_the_same() {
    let lines = |salt: u32, things: u32| -> Vec<u8> {
        let line = |n: u32| {
            let hash = (n ^ salt).wrapping_mul(0x9e37_79b1);
            format!("user-{},item-{}\n", (hash >> 8) % 700, (hash >> 18) % ((hash & 255) + 1) % things)
        };
        (0..150_000).map(line).collect::<String>().into_bytes()
    };
    let (bought, seen) = (lines(1, 200), lines(2, 300));
    let place = Place::new("threads");
    let one = place.run(&bought, &seen, 1).unwrap();
    assert!(one.lines().count() > 300);
    assert_eq!(one, place.run(&bought, &seen, 2).unwrap());
    assert_eq!(one, place.run(&bought, &seen, 5).unwrap());
}

#[test]
fn options_are_checked() {
    let options = |indicators: &[&str]| Options {
        indicators: indicators.iter().map(|name| ((*name).to_owned(), PathBuf::from("/nowhere"))).collect(),
        output: PathBuf::from("/nowhere/out"),
        max_correlators: 1,
        max_prefs: 1,
        min_llr: None,
        seed: 1,
        threads: 1,
    };
    let text = |options: &Options| run(options, &|_, _, _| ()).unwrap_err().to_string();
    assert!(text(&options(&[])).starts_with("no indicator"));
    assert!(text(&options(&["a", "a"])).contains("\"a\" is given twice"));
    assert!(text(&options(&["a"])).starts_with("/nowhere: "));
}
