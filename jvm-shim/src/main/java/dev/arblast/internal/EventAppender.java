package dev.arblast.internal;

/** Events on their way into an app of an embedded store: all of them become durable together, or none does. One caller at a time. */
public final class EventAppender extends NativeObject {
  /** {@code nowMs}: creation time (ms since 1970) of events that have none. */
  public EventAppender(String home, String app, long nowMs) {
    super(() -> Native.openAppend(TrainingSession.utf8(home), TrainingSession.utf8(app), nowMs));
  }

  /** Adds what was staged elsewhere. An app that declares its events may refuse some. */
  public void add(StagedEvents staged) {
    staged.forEach((rows, columns) -> Native.addEvents(key(), rows, columns));
  }

  /** Stores all that was added. Gives what there is to warn of, or an empty text. */
  public String commit() {
    return TrainingSession.text(Native.commit(key()));
  }
}
