package dev.arblast.internal;

/**
 * All events of an app in the embedded store of a home, as they were when it was opened. It holds that state of the store until it is
 * closed or has given the last row. One caller at a time.
 */
public final class EventCursor extends NativeObject {
  public EventCursor(String home, String app) {
    super(() -> Native.openEvents(TrainingSession.utf8(home), TrainingSession.utf8(app)));
  }

  /**
   * The next rows: eventId, event, entityType, entityId, targetEntityType and targetEntityId (both empty: no target), properties as
   * JSON, then eventTime and creationTime in µs. Null: that was all.
   */
  public Table next() {
    Table table = new Table(Native.nextEvents(key()));
    return table.rows() == 0 ? null : table;
  }
}
