use super::*;

fn read(text: &str) -> String {
    match parse(text.as_bytes()) {
        Ok(json) => json.to_string(),
        Err(error) => format!("error {error}"),
    }
}

/// Reads `text` and tells what had to be tolerated, and where.
fn tolerated(text: &str) -> (String, Option<String>) {
    let (json, lenient) = parse_observed(text.as_bytes()).unwrap();
    (json.to_string(), lenient.map(|error| error.to_string()))
}

#[test]
fn strict_json_keeps_order_and_needs_no_leniency() {
    let text = r#"{"z":[1,-2.5,true,false,null,"x"],"a":{},"":[],"z":{"z":0,"z":1}}"#;
    assert_eq!(tolerated(text), (text.to_owned(), None));
    assert_eq!(tolerated(" \t\r\n[ 1 , 2 ]\n"), ("[1,2]".to_owned(), None));
    for scalar in ["0", "-1", "\"\"", "true", "false", "null"] {
        assert_eq!(tolerated(scalar), (scalar.to_owned(), None));
    }
}

#[test]
fn elements_of_an_array_are_its_texts() {
    let texts = |text: &str| {
        let texts = elements(text.as_bytes()).unwrap().map_err(|other| other.to_string())?;
        Ok::<Vec<String>, String>(
            texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect(),
        )
    };
    let wanted = ["{ \"a\" : [1] }", "\"ä]\"", "-2.5", "[ ]"].map(str::to_owned).to_vec();
    assert_eq!(texts(" [{ \"a\" : [1] } , \"ä]\" -2.5,[ ],] "), Ok(wanted));
    assert_eq!(texts("[]"), Ok(Vec::new()));
    assert_eq!(texts("{\"a\":1}"), Err("{\"a\":1}".to_owned()));
    assert_eq!(elements(b"[1").unwrap_err().to_string(), parse(b"[1").unwrap_err().to_string());
}

#[test]
fn tolerates_what_old_clients_send_and_says_where() {
    let cases = [
        (r#"{"user":"u5" "from":0}"#, r#"{"user":"u5","from":0}"#, "line 1, column 14: missing comma"),
        ("[1 2]", "[1,2]", "line 1, column 4: missing comma"),
        ("[1,,2]", "[1,2]", "line 1, column 5: superfluous comma"),
        ("[,1]", "[1]", "line 1, column 3: superfluous comma"),
        ("{\n\"a\":1,}", r#"{"a":1}"#, "line 2, column 7: comma before the end"),
        ("[,]", "[]", "line 1, column 3: comma before the end"),
        (",{}", "{}", "line 1, column 2: comma before the value"),
        ("{},", "{}", "line 1, column 4: comma after the value"),
        ("[+5]", "[5]", "line 1, column 2: number with `+` or leading zeros"),
        ("[007]", "[7]", "line 1, column 2: number with `+` or leading zeros"),
        ("[-007]", "[-7]", "line 1, column 2: number with `+` or leading zeros"),
        ("[01.5]", "[1.5]", "line 1, column 2: number with `+` or leading zeros"),
        ("\"a\tb\"", r#""a\tb""#, "line 1, column 3: raw control character in a string"),
    ];
    for (text, json, place) in cases {
        assert_eq!(tolerated(text), (json.to_owned(), Some(place.to_owned())), "{text}");
    }
}

#[test]
fn refuses_the_rest_and_says_where() {
    let cases = [
        ("", "line 1, column 1: the text ends where a value is expected"),
        (" \n", "line 2, column 1: the text ends where a value is expected"),
        ("{a:1}", "line 1, column 2: expected a member name in double quotes, found `a`"),
        ("{'a':1}", "line 1, column 2: expected a member name in double quotes, found `'`"),
        ("['x']", "line 1, column 2: expected a value, found `'`"),
        ("[NaN]", "line 1, column 2: expected a value, found `N`"),
        ("[nan]", "line 1, column 2: expected a value, found `n`"),
        ("[Infinity]", "line 1, column 2: expected a value, found `I`"),
        ("[-Infinity]", "line 1, column 3: expected a digit, found `I`"),
        ("\u{feff}{}", "line 1, column 1: byte order mark: send UTF-8 without it"),
        ("{} x", "line 1, column 4: text after the value"),
        ("{} []", "line 1, column 4: text after the value"),
        (r#"{"a":1}{"b":2}"#, "line 1, column 8: expected one object, a second begins here"),
        (r#"{"a":1} {"b":2}{"c":3}"#, "line 1, column 9: expected one object, a second begins here"),
        (r#"{"a":1},{"b":2}"#, "line 1, column 9: expected one object, a second begins here"),
        ("{\"a\":1}\r{\"b\":2}", "line 1, column 9: expected one object, a second begins here"),
        ("{\"a\":1}\n\n{\"b\":2}", "line 3, column 1: expected one object, a second begins here"),
        ("[] {}", "line 1, column 4: text after the value"),
        ("1 2", "line 1, column 3: text after the value"),
        ("{\"ü\":1", "line 1, column 7: truncated: `}` is missing"),
        ("[1,\n2", "line 2, column 2: truncated: `]` is missing"),
        ("\"ab", "line 1, column 4: truncated: the string is not closed"),
        ("\"ab\\", "line 1, column 4: truncated: the string is not closed"),
        ("{\"a\"}", "line 1, column 5: expected `:` after the member name, found `}`"),
        ("{\"a\",1}", "line 1, column 5: expected `:` after the member name, found `,`"),
        ("{\"a\":,1}", "line 1, column 6: expected a value, found `,`"),
        ("{\"a\":}", "line 1, column 6: expected a value, found `}`"),
        ("[1}", "line 1, column 3: expected a value, found `}`"),
        ("[truex]", "line 1, column 6: unexpected `x`"),
        ("[1-2]", "line 1, column 3: unexpected `-`"),
        ("[1.]", "line 1, column 4: expected a digit, found `]`"),
        ("[.5]", "line 1, column 2: expected a value, found `.`"),
        ("[1e]", "line 1, column 4: expected a digit, found `]`"),
        ("[--1]", "line 1, column 3: expected a digit, found `-`"),
        ("[1e999]", "line 1, column 2: number beyond the range of a double"),
        ("[\u{0}]", "line 1, column 2: expected a value, found control character 0x00"),
        (r#""\x""#, "line 1, column 2: unknown escape in a string"),
        (r#""\u12g4""#, "line 1, column 2: `\\u` needs four hexadecimal digits"),
        (r#""\u+123""#, "line 1, column 2: `\\u` needs four hexadecimal digits"),
        (r#""\ud800""#, "line 1, column 2: half of a surrogate pair in a string"),
        (r#""\ud800\u0041""#, "line 1, column 2: half of a surrogate pair in a string"),
        (r#""\udc00""#, "line 1, column 2: half of a surrogate pair in a string"),
    ];
    for (text, error) in cases {
        assert_eq!(read(text), format!("error {error}"), "{text}");
    }
    let error = parse(b"[\n\"\xff\"]").unwrap_err();
    assert_eq!(error, JsonError { line: 2, column: 2, reason: "not UTF-8".to_owned() });
}

#[test]
fn depth_is_limited_without_harm() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    let error = parse(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
    assert_eq!((error.column, error.reason.as_str()), (129, "nested deeper than 128 levels"));
    assert!(parse(&b"[".repeat(1_000_000)).is_err());
    assert!(parse(&b"{\"a\":".repeat(1_000_000)).is_err());
    let wide = format!("[{}]", "[],".repeat(1000));
    assert!(parse(wide.as_bytes()).is_ok(), "depth counts nesting, not number");
}

#[test]
fn numbers_print_as_java_prints_them() {
    let cases = [
        ("100", "100"),
        ("-5", "-5"),
        ("-0", "0"),
        ("12345678901234567890", "12345678901234567890"),
        ("-00012345678901234567890", "-12345678901234567890"),
        ("+12345678901234567890", "12345678901234567890"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9223372036854775808"),
        ("00000000000000000000000000000000", "0"),
        ("1.0", "1.0"),
        ("1.50", "1.5"),
        ("-0.0", "-0.0"),
        ("1e10", "1.0E10"),
        ("1E+2", "100.0"),
        ("1.5e-7", "1.5E-7"),
        ("0.001", "0.001"),
        ("0.00099", "9.9E-4"),
        ("9999999.0", "9999999.0"),
        ("10000000.0", "1.0E7"),
        ("123456789.125", "1.23456789125E8"),
        ("1e-999", "0.0"),
        ("2.5e-320", "2.5E-320"),
        ("1.7976931348623157e308", "1.7976931348623157E308"),
    ];
    for (text, shown) in cases {
        assert_eq!(read(text), shown, "{text}");
        assert_eq!(read(shown), shown, "what is shown reads the same");
    }
}

#[test]
fn numbers_convert_only_exactly() {
    let number = |text: &str| parse(text.as_bytes()).unwrap();
    assert_eq!(number("3.0").as_i64(), Some(3));
    assert_eq!(number("1e3").as_i64(), Some(1000));
    assert_eq!(number("3.5").as_i64(), None);
    assert_eq!(number("1e300").as_i64(), None);
    assert_eq!(number("9223372036854775808").as_i64(), None);
    assert_eq!(number("9223372036854775808").as_f64(), Some(9_223_372_036_854_775_808.0));
    assert_eq!(parse(b"-9").unwrap().as_f64(), Some(-9.0));
    assert_eq!(number(&"9".repeat(400)).as_f64(), Some(f64::MAX), "finite in any case");
    assert_ne!(number("1"), number("1.0"));
    assert_eq!(Number::real(f64::NAN), None);
    assert_eq!(Number::real32(f32::INFINITY), None);
    assert_eq!(Number::real32(5.843).unwrap().to_string(), "5.843");
    assert_eq!(Number::real32(0.0).unwrap().to_string(), "0.0");
    assert_eq!(Number::from(u64::MAX).to_string(), "18446744073709551615");
    assert_eq!(Number::from(u64::MAX), *number("18446744073709551615").as_number().unwrap());
}

#[test]
fn strings_escape_only_what_must_be() {
    let text = "q\" b\\ s/ \u{8}\u{c}\n\r\t \u{0}\u{1f}\u{7f} ü \u{2028} 🦀";
    let json = Json::from(text).to_string();
    assert_eq!(json, "\"q\\\" b\\\\ s/ \\b\\f\\n\\r\\t \\u0000\\u001f\u{7f} ü \u{2028} 🦀\"");
    assert_eq!(parse(json.as_bytes()).unwrap().as_str(), Some(text));
    assert_eq!(read(r#""\ud83e\udd80 \u00fc \/""#), "\"🦀 ü /\"");
}

#[test]
fn the_last_duplicate_wins_where_asked() {
    let json = parse(br#"{"a":1,"b":2,"a":3,"c":{"x":1,"x":2},"b":4,"a":5}"#).unwrap();
    let Json::Object(mut object) = json else { panic!("an object") };
    assert_eq!(object.get("a"), Some(&Json::from(5)));
    assert_eq!(object.len(), 6);
    object.insert("b", "new");
    assert_eq!(object.get("b"), Some(&Json::from("new")));
    object.keep_last();
    assert_eq!(object.to_string(), r#"{"a":5,"b":"new","c":{"x":2}}"#);
    let nested = parse(br#"{"a":{"x":{"y":1,"y":2},"x":3},"b":[[{"z":1,"z":{"q":0,"q":1}}]]}"#).unwrap();
    let Json::Object(mut nested) = nested else { panic!("an object") };
    nested.keep_last();
    assert_eq!(nested.to_string(), r#"{"a":{"x":3},"b":[[{"z":{"q":1}}]]}"#);
    let mut distinct = Object::new().with("z", 1).with("a", Json::Null).with("z", 2);
    assert_eq!(distinct.to_string(), r#"{"z":2,"a":null}"#);
    distinct.keep_last();
    assert_eq!(distinct.to_string(), r#"{"z":2,"a":null}"#);
}

#[test]
fn excerpts_are_short() {
    let excerpt = |text: &str| parse(text.as_bytes()).unwrap().excerpt();
    assert_eq!(excerpt("\"5\""), "\"5\"");
    assert_eq!(excerpt("[]"), "[]");
    assert_eq!(excerpt("[1,2]"), "an array of 2");
    assert_eq!(excerpt("{\"a\":1}"), "an object of 1");
    let long = Json::from("ü".repeat(1_000_000)).excerpt();
    assert_eq!(long.chars().count(), 61, "{long}");
    assert!(excerpt(&"9".repeat(100)).ends_with('…'));
}

#[test]
fn values_are_small() {
    // The bound on memory that `parse` promises rests on this.
    assert!(size_of::<Json>() <= 32, "{}", size_of::<Json>());
}

#[test]
fn the_end_of_plain_text_is_found_wherever_it_is() {
    let is_special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    for special in (0..=u8::MAX).filter(is_special) {
        for plain in [b' ', b'!', b'#', b'[', b']', b'a', 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
            for place in 0..20 {
                let mut text = [plain; 20];
                text[place] = special;
                assert_eq!(parse::plain_bytes(&text), place, "{special} after {plain}");
                text[19] = special;
                assert_eq!(parse::plain_bytes(&text), place, "the first {special} after {plain}");
                assert_eq!(parse::plain_bytes(&text[..place]), place, "{plain} to the end");
            }
        }
    }
}
