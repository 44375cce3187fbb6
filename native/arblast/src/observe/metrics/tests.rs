use super::*;

use std::time::Duration;

#[test]
fn the_text_has_what_was_counted() {
    let metrics = Metrics::default();
    metrics.gauge("arblast_model_age_seconds", "Age.", &[("engine", "a\"\\\nb")], || 1.5);
    metrics.gauge("arblast_model_age_seconds", "Age.", &[], || f64::INFINITY);
    metrics.counted("arblast_x_total", "X\nY.", &[], || 3);
    let times = Arc::new(Histogram::default());
    metrics.times("arblast_y_seconds", "Y.", &[], Arc::clone(&times));
    for micros in [50, 100, 101, 20_000_000] {
        times.observe(Duration::from_micros(micros));
    }
    let text = metrics.text();
    for line in [
        "# TYPE arblast_model_age_seconds gauge",
        r#"arblast_model_age_seconds{engine="a\"\\\nb"} 1.5"#,
        "arblast_model_age_seconds +Inf",
        r"# HELP arblast_x_total X\nY.",
        "arblast_x_total 3",
        r#"arblast_y_seconds_bucket{le="0.0001"} 2"#,
        r#"arblast_y_seconds_bucket{le="0.00025"} 3"#,
        r#"arblast_y_seconds_bucket{le="10"} 3"#,
        r#"arblast_y_seconds_bucket{le="+Inf"} 4"#,
        "arblast_y_seconds_count 4",
        "arblast_y_seconds_sum 20.000251",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert_eq!(text.matches("# TYPE arblast_model_age_seconds").count(), 1);
}

#[test]
fn requests_are_counted_from_many_threads() {
    let metrics = Metrics::default();
    let server = metrics.requests().server("queries");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..1000_u16 {
                    let route = ["/a", "/b", "/c"][usize::from(i % 3)];
                    metrics.requests().count(&server, route, "GET", 200 + i % 2, Duration::ZERO);
                }
            });
        }
    });
    let text = metrics.text();
    let total: u64 = text
        .lines()
        .filter(|line| line.starts_with("arblast_http_requests_total"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(total, 4000);
    assert!(
        text.contains(r#"arblast_http_request_seconds_count{server="queries",route="/a",method="GET"} 1336"#)
    );
}

#[test]
fn invented_routes_and_methods_do_not_fill_the_memory() {
    let metrics = Metrics::default();
    let server = metrics.requests().server("queries");
    for i in 0..2000 {
        metrics.requests().count(&server, &format!("/{i}"), &format!("M{i}"), 200, Duration::ZERO);
    }
    let text = metrics.text();
    assert_eq!(text.matches("arblast_http_requests_total{").count(), 513);
    assert!(text.contains(
        r#"arblast_http_requests_total{server="other",route="other",method="other",status="200"} 1488"#
    ));
}
