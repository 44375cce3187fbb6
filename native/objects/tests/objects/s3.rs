//! What is said of a wrong S3. One that is away is a matter of the program's tests.

use events::Kind;

use crate::machine::Machine;
use crate::servers::Servers;

pub(crate) fn what_is_wrong_is_told(servers: &Servers) {
    let Servers { s3, .. } = servers;
    let nowhere = Machine::new(&s3.place_as("nowhere/models", &s3.secret));
    for error in [nowhere.models.reader().unwrap_err(), nowhere.publish(1).unwrap_err()] {
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        let text = error.to_string();
        assert!(text.contains("s3://nowhere/models/") && text.contains("bucket"), "{text}");
        assert!(!text.contains('\n') && !text.contains(&s3.secret), "{text}");
    }
    s3.order("strict");
    let wrong = "the-secret-of-somebody-else";
    let stranger = Machine::new(&s3.place_as("shop/models", wrong));
    for error in [stranger.models.reader().unwrap_err(), stranger.publish(1).unwrap_err()] {
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        let text = error.to_string();
        assert!(text.contains("s3://shop/models/") && text.contains("SignatureDoesNotMatch"), "{text}");
        assert!(!text.contains('\n') && !text.contains(wrong), "{text}");
    }
    s3.order("lenient");
    let option = [("nonsense".to_owned(), "hunter2".to_owned())];
    let error = objects::open("s3://shop/models", &option).unwrap_err();
    assert!(error.to_string().contains("nonsense") && !error.to_string().contains("hunter2"), "{error}");
}
