//! The status page: over HTTP, and in a real browser.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use events::Json;
use events::json::{self, Object};

use crate::browser::Browser;
use crate::program::{Program, at, number, text};
use crate::queries_client::until;
use crate::server::{Server, trained};

/// All files of the page together.
const PAGE_BYTES_MAX: usize = 60_000;

/// `GET` with an `Accept` header: head and body.
fn get(server: &Server, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let host = server.port;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{host}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

/// The status when everything is counted.
fn status(server: &Server) -> Json {
    until("the model is counted", || {
        let (code, status) = server.request("GET", "/status.json", "");
        assert_eq!(code, 200, "{status}");
        (!at(&status, "contents").is_null()).then_some(status)
    })
}

/// The page of a server, drawn whole.
fn open(server: &Server) -> Browser {
    let browser = Browser::open();
    browser.go(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait("document.querySelector('#strength figure') && document.querySelector('#runs tbody tr')");
    browser
}

/// Nothing went wrong in the browser, and it asked nobody but the server.
fn assert_calm(browser: &Browser, server: &Server) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let own = format!("http://127.0.0.1:{}/", server.port);
    let requests = browser.requests();
    assert!(requests.iter().any(|url| url.ends_with("/status.json")), "{requests:?}");
    let others: Vec<&String> = requests.iter().filter(|url| !url.starts_with(&own)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// Elements of a list, as the script finds them.
fn list(browser: &Browser, expression: &str) -> Vec<Json> {
    browser.script(&format!("return {expression}")).as_array().unwrap().to_vec()
}

fn named<'a>(list: &'a Json, name: &str) -> &'a Json {
    let found = list.as_array().unwrap().iter().find(|member| text(member, "name") == name);
    found.unwrap_or_else(|| panic!("no {name}: {list}"))
}

/// 77206 → 77,206
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[test]
fn browsers_get_a_page_and_others_json() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let (head, html) = get(&server, "/", "text/html,application/xhtml+xml,*/*;q=0.8");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
    let (head, json) = get(&server, "/", "*/*");
    assert!(head.contains("content-type: application/json"), "{head}");
    let about = json::parse(json.as_bytes()).unwrap();
    assert_eq!((text(&about, "status"), number(&about, "model.generation")), ("alive", 1));
    let mut bytes = html.len();
    for (file, kind) in [
        ("page.css", "text/css"),
        ("page.js", "text/javascript"),
        ("ask.js", "text/javascript"),
        ("draw.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let (head, body) = get(&server, &format!("/{file}"), "*/*");
        assert!(
            head.starts_with("http/1.1 200") && head.contains(&format!("content-type: {kind}")),
            "{head}"
        );
        assert!(html.contains(file) || get(&server, "/page.js", "*/*").1.contains(file), "{file} is unused");
        bytes += body.len();
    }
    assert!(bytes < PAGE_BYTES_MAX, "{bytes} bytes");
    assert!(!html.contains("http://") && !html.contains("https://"), "the page needs no network");
}

#[test]
fn the_status_says_what_training_said() {
    let program = Program::new();
    program.sample_shop();
    let report = program.json(&["train", "--batch", "nightly"]);
    let server = Server::start(&program, &[]);
    let status = status(&server);
    assert_eq!(text(&status, "model.digest"), text(&report, "digest"));
    assert_eq!(text(&status, "model.engineInstanceId"), text(&report, "engineInstanceId"));
    let recorded = at(&status, "history.runs.0.report").as_object().unwrap();
    for (name, said) in at(&report, "report").as_object().unwrap().iter() {
        assert_eq!(recorded.get(name), Some(said), "{name}");
    }
    assert_eq!(text(&status, "history.runs.0.batch"), "nightly");
    assert_eq!(at(&status, "contents.generations"), &program.json(&["models"]));
    for trained in at(&report, "report.indicators").as_array().unwrap() {
        let counted = named(at(&status, "contents.indicators"), text(trained, "name"));
        let correlators = number(trained, "correlators");
        let bins = at(counted, "llr").as_array().unwrap();
        let in_bins: i64 = bins.iter().map(|bin| number(bin, "count")).sum();
        assert_eq!((number(counted, "correlators"), in_bins), (correlators, correlators), "{counted}");
        // The engine file wants an LLR of 5.
        let real = |json: &Json, path: &str| at(json, path).as_f64().unwrap();
        let (first, last) = (bins.first().unwrap(), bins.last().unwrap());
        assert!(real(first, "from") <= 5.7 && real(first, "to") > 5.0, "{first}");
        let strongest = at(counted, "strongest").as_array().unwrap();
        let llrs: Vec<f64> = strongest.iter().map(|pair| real(pair, "llr")).collect();
        assert!(
            llrs.len() == 5 && llrs[0] < real(last, "to") && llrs.is_sorted_by(|a, b| a >= b),
            "{counted}"
        );
        assert!(strongest.iter().all(|pair| text(pair, "item") != text(pair, "thing")), "{counted}");
    }
    heads_are_the_ranks_of_all_items(&server, &status);
}

/// Every item's ranks come with an answer; sorted, they are the heads.
fn heads_are_the_ranks_of_all_items(server: &Server, status: &Json) {
    let query = r#"{"num": 10000, "withRanks": true, "dateRange": {"name": "date", "after": "1970-01-01"}}"#;
    let (_, answer) = server.request("POST", "/queries.json", query);
    let items = at(&answer, "itemScores").as_array().unwrap();
    for ranking in at(status, "contents.rankings").as_array().unwrap() {
        let name = text(ranking, "name");
        let value = |item: &Json| item.get("ranks")?.get(name)?.as_f64();
        let mut values: Vec<f64> = items.iter().filter_map(value).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        let top = at(ranking, "top").as_array().unwrap();
        let heads: Vec<f64> = top.iter().map(|head| at(head, "value").as_f64().unwrap()).collect();
        assert_eq!(heads, values[..10], "{name}");
        assert_eq!(number(ranking, "items"), i64::try_from(values.len()).unwrap(), "{name}");
    }
}

#[test]
fn charts_and_tables_show_the_numbers() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let browser = open(&server);
    for _ in 0..7 {
        assert_eq!(server.request("POST", "/queries.json", r#"{"user": "maya"}"#).0, 200);
    }
    for _ in 0..2 {
        assert_eq!(server.request("POST", "/queries.json", "nonsense").0, 400);
    }
    let line = |name: &str| {
        format!("JSON.parse(document.querySelector('[data-line={name}]')?.dataset.values ?? '[]')")
    };
    let sum = |name: &str| format!("{}.reduce((a, b) => a + b, 0)", line(name));
    browser.wait(&format!("{} === 7 && {} === 2", sum("answered"), sum("failed")));
    browser.wait(&format!("{}.some((ms) => ms > 0) && {}.some((ms) => ms > 0)", line("p50"), line("p99")));
    let events = std::fs::read_to_string(program.path("events.jsonl")).unwrap();
    for indicator in at(&status(&server), "contents.indicators").as_array().unwrap() {
        let name = text(indicator, "name");
        let quoted = format!("\"event\":\"{name}\"");
        let seen = events.lines().filter(|line| line.replace("\": ", "\":").contains(&quoted)).count();
        let row = format!("document.querySelector('[data-indicator={name}]').innerText");
        let expected = [i64::try_from(seen).unwrap(), number(indicator, "correlators")].map(grouped);
        let row = browser.text(&row);
        let shown = |number: &String| row.split_whitespace().any(|word| word == number);
        assert!(expected.iter().all(shown), "{name}: {row} instead of {expected:?}");
        let chart = format!("document.querySelector('[data-strength={name}] svg')");
        let bars = list(
            &browser,
            &format!("Array.from({chart}.querySelectorAll('rect'), (bar) => Number(bar.dataset.count))"),
        );
        let counts: Vec<i64> = bars.iter().map(|bar| bar.as_i64().unwrap()).collect();
        let bins: Vec<i64> =
            at(indicator, "llr").as_array().unwrap().iter().map(|bin| number(bin, "count")).collect();
        assert_eq!(counts, bins, "{name}");
        // The text that stands for the chart, and the tallest bar where the most are.
        let label = browser.text(&format!("{chart}.getAttribute('aria-label')"));
        assert!(label.contains(&format!("{} correlators of {name}", expected[1])), "{label}");
        let tallest = format!(
            "Array.from({chart}.querySelectorAll('rect')).sort((a, b) => b.height.baseVal.value - a.height.baseVal.value)[0].dataset.count"
        );
        assert_eq!(browser.text(&tallest), bins.iter().max().unwrap().to_string(), "{name}");
    }
    assert_eq!(
        browser.text("document.getElementById('feedback').textContent"),
        "Feedback: off. Log of failures: off."
    );
    // A new generation comes to the open page by itself.
    program.ok(&["train", "--batch", "second"]);
    browser.wait("document.getElementById('model-about').textContent.startsWith('generation 2')");
    browser.wait("document.querySelectorAll('#runs [data-run]').length === 2");
    let newest = browser.text("document.querySelector('#runs tbody').innerText");
    assert!(newest.contains("batch second") && newest.contains("view 50,263"), "{newest}");
    assert_calm(&browser, &server);
}

const QUERY: &str = r#"{"fields": [{"name": "categories", "values": ["ski touring"], "bias": -1}], "ranges": [{"name": "price", "lt": 50, "factor": 2}], "currentDate": "2026-01-01T00:00:00Z"}"#;

#[test]
fn the_playground_answers_as_the_server_does_and_says_why() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let browser = open(&server);
    browser.fill("#user", "maya");
    browser.fill("#num", "5");
    browser.fill("#more", QUERY);
    browser.click("#send");
    browser.wait("document.querySelector('.results')");
    let curl = browser.text("document.getElementById('curl').textContent");
    let sent = curl.split('\'').find(|part| part.starts_with('{')).unwrap();
    let sent = json::parse(sent.as_bytes()).unwrap();
    let mut expected = json::parse(QUERY.as_bytes()).unwrap().as_object().unwrap().clone();
    expected = expected.with("user", "maya").with("num", 5).with("explain", true);
    assert_eq!(sent, expected.clone().into(), "{curl}");
    let (_, answer) = server.request("POST", "/queries.json", &expected.to_string());
    for raw in ["dataset.text", "textContent"] {
        let raw = browser.text(&format!("document.getElementById('raw').{raw}"));
        assert_eq!(json::parse(raw.as_bytes()).unwrap(), answer);
    }
    let items = at(&answer, "itemScores").as_array().unwrap();
    let rows = "Array.from(document.querySelectorAll('.results tr[data-item]'), (row) => [row.dataset.item, row.querySelector('.item').textContent])";
    let shown: Vec<Json> = items.iter().map(|item| vec![text(item, "item"); 2].into()).collect();
    assert_eq!(list(&browser, rows), shown);
    let because = at(&answer, "itemScores.0.explain.because").as_array().unwrap();
    let sentences =
        "Array.from(document.querySelector('.reasons').querySelectorAll('.why li'), (li) => li.textContent)";
    let sentences = list(&browser, sentences);
    assert_eq!(sentences.len(), because.len());
    for (sentence, reason) in sentences.iter().zip(because) {
        let words =
            format!("{} of {} goes with this item (LLR ", text(reason, "field"), text(reason, "value"));
        let sentence = sentence.as_str().unwrap();
        assert!(sentence.contains(&words) && sentence.contains("the user did so on"), "{sentence}: {words}");
    }
    let all = browser.text("document.getElementById('answer').textContent");
    for words in [
        "×2",
        "a rule on price multiplies the score",
        "must match categories is one of \"ski touring\"",
        "kept back",
        "Never returned",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    // A click on an item asks what is similar; the reason speaks of the item then.
    browser.click(".results .item button");
    browser
        .wait("document.getElementById('answer').textContent.includes('the item asked about has it, too')");
    assert_eq!(browser.text("document.getElementById('item').value"), text(&items[0], "item"));
    assert_calm(&browser, &server);
}

#[test]
fn the_playground_tells_what_is_wrong() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let browser = open(&server);
    // By keyboard alone: what is typed into the last field of the form, and Control+Enter.
    browser.script("document.getElementById('more').focus()");
    browser.press("{\"num\": ");
    browser.wait("document.getElementById('more').getAttribute('aria-invalid') === 'true'");
    assert!(browser.text("document.getElementById('more-error').textContent").starts_with("This is no JSON"));
    browser.press("\"many\"}");
    browser.wait("document.getElementById('more').getAttribute('aria-invalid') === 'false'");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.script("document.getElementById('user').focus()");
    browser.press("\u{E007}");
    browser.wait("document.querySelector('#answer [role=alert]')");
    let message = browser.text("document.querySelector('#answer [role=alert]').textContent");
    assert_eq!(message, text(&server.request("POST", "/queries.json", r#"{"num": "many"}"#).1, "message"));
    server.request("POST", "/stop", "");
    browser.wait("document.getElementById('state').textContent === 'Not reachable'");
    browser.click("#send");
    browser.wait("document.getElementById('answer').textContent === 'The server cannot be reached.'");
}

const HOSTILE: &str = r#"<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>"#;

/// A shop in which somebody named an item, a user and a property to do harm, and everybody bought the item.
fn hostile() -> Program {
    let program = Program::new();
    program.sample_shop();
    let event = |name: &str, user: &str, item: &str| {
        let event = Object::new().with("event", name).with("entityType", "user").with("entityId", user);
        let event = event.with("targetEntityType", "item").with("targetEntityId", item);
        event.with("eventTime", "2026-01-01T00:00:00Z").to_string()
    };
    let mut lines = Vec::new();
    for n in 0..300 {
        let user = format!("hostile {n}");
        lines.extend([event("purchase", &user, HOSTILE), event("purchase", &user, "Fernway Tent 2 Person")]);
    }
    lines.push(event("purchase", HOSTILE, "Fernway Tent 2 Person"));
    let properties = Object::new().with(HOSTILE, HOSTILE).with("categories", vec![HOSTILE]);
    let properties = properties.with("available", "2025-01-01").with("expires", "2099-01-01");
    let set = Object::new().with("event", "$set").with("entityType", "item").with("entityId", HOSTILE);
    lines.push(set.with("properties", properties).with("eventTime", "2026-01-01T00:00:00Z").to_string());
    program.write("hostile.jsonl", &lines.join("\n"));
    program.ok(&["import", "--app", "shop", "--input", "hostile.jsonl"]);
    program.ok(&["train", "--batch", HOSTILE]);
    program
}

#[test]
fn hostile_names_are_text() {
    let program = hostile();
    let server = Server::start(&program, &[]);
    let browser = open(&server);
    let query = Object::new().with("resultProps", vec!["*"]).with("userBias", 1);
    let rule = Object::new().with("name", "categories").with("values", vec![HOSTILE]).with("bias", 2);
    browser.fill("#user", HOSTILE);
    browser.fill("#more", &query.with("fields", vec![rule]).to_string());
    browser.click("#send");
    browser.wait("document.querySelector('.results')");
    let places = ["#answer .item", "#answer .props", "#answer .why", "#strength", "#runs", "#curl", "#raw"];
    for place in places {
        let found = list(
            &browser,
            &format!("Array.from(document.querySelectorAll('{place}'), (e) => e.textContent)"),
        );
        let shown = |text: &Json| text.as_str().is_some_and(|text| text.replace('\\', "").contains(HOSTILE));
        assert!(found.iter().any(shown), "{place}: {found:?}");
    }
    let foreign = "document.querySelectorAll('main img, main script, [onerror]').length";
    assert_eq!(browser.script(&format!("return {foreign}")).as_i64(), Some(0));
    browser.fill("#user", "");
    browser.fill("#more", &Object::new().with("fields", HOSTILE).to_string());
    browser.click("#send");
    browser.wait("document.querySelector('#answer [role=alert]')");
    assert!(browser.script("return window.harmed").is_null());
    let calm: Vec<String> =
        browser.complaints().into_iter().filter(|line| !line.contains("status of 400")).collect();
    assert_eq!(calm, Vec::<String>::new());
}

/// Text whose contrast with what is behind it is less than 4.5 (WCAG 2.2, 1.4.3), and other lacks.
const LACKS: &str = r#"
const numbers = (text) => text.match(/[\d.e-]+/g).map(Number);
const parse = (text) => { const [r, g, b, a = 1] = numbers(text); const unit = text.startsWith('color(') ? 1 : 255; return [r / unit, g / unit, b / unit, a]; };
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
const behind = (element) => { const own = parse(getComputedStyle(element).backgroundColor); return own[3] === 1 ? own : over(own, element.parentElement ? behind(element.parentElement) : [1, 1, 1, 1]); };
const light = (colour) => { const [r, g, b] = colour.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const lacks = [];
for (const element of document.body.querySelectorAll('*')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || element.closest('svg') || !element.checkVisibility()) continue;
  const ground = behind(element);
  const [a, b] = [light(over(parse(getComputedStyle(element).color), ground)), light(ground)].sort();
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) lacks.push(`${element.className} ${element.textContent.slice(0, 30)}: contrast ${contrast.toFixed(2)}`);
}
for (const input of document.querySelectorAll('input, textarea')) if (!input.labels.length) lacks.push(`${input.id} has no label`);
for (const svg of document.querySelectorAll('svg')) if (!svg.ariaHidden && !(svg.role === 'img' && svg.getAttribute('aria-label'))) lacks.push('a chart without words');
for (const svg of document.querySelectorAll('svg[role=img]')) if (svg.getBoundingClientRect().width < 50) lacks.push('a chart without room');
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) lacks.push(`${root.scrollWidth} pixels wide in ${root.clientWidth}`);
return lacks;"#;

#[test]
fn with_a_key_the_page_asks_for_it_and_keeps_it() {
    let program = trained();
    let server = Server::start(&program, &["--query-key", "qu3ry"]);
    let browser = Browser::open();
    browser.go(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait("!document.querySelector('#key-label').hidden");
    assert!(browser.script("return document.querySelector('#strength figure')").is_null());
    browser.fill("#key", "qu3ry");
    browser.wait(
        "document.querySelector('#strength figure') && document.querySelector('#rankings button.link')",
    );
    browser.click("#rankings button.link");
    browser.wait("document.querySelector('.results')");
    assert_eq!(browser.script("return document.querySelector('#key').value").as_str(), Some("qu3ry"));
}

#[test]
fn anybody_can_read_it_on_any_screen_by_day_and_night() {
    let program = trained();
    program.ok(&["train", "--batch", "nightly"]);
    let server = Server::start(&program, &["--feedback", "--accesskey", "k3y", "--event-server-port", "1"]);
    let browser = open(&server);
    for n in 0..60 {
        let user = ["maya", "otto"][n % 2];
        server.request("POST", "/queries.json", &Object::new().with("user", user).to_string());
    }
    browser.fill("#user", "maya");
    browser.fill("#num", "5");
    browser.fill("#more", QUERY);
    browser.click("#send");
    browser.wait("document.querySelector('.results') && document.querySelector('[data-line=p99]').dataset.values.length > 2");
    browser.wait("/^Feedback: 0 sent, \\d+ failed, 0 dropped\\. Log of failures: off\\.$/.test(document.getElementById('feedback').textContent)");
    assert!(!browser.text("document.documentElement.outerHTML").contains("k3y"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../status-page");
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
        browser.look(width, scheme);
        browser.picture(&folder.join(format!("{width}-{scheme}.png")));
        assert_eq!(browser.script(LACKS).to_string(), "[]", "{width} {scheme}");
    }
    assert_calm(&browser, &server);
}
