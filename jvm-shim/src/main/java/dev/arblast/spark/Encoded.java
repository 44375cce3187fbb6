package dev.arblast.spark;

import dev.arblast.internal.TrainingSession;
import java.io.Serializable;

/** What a task has read: a native portion, and how many rows were no events. */
final class Encoded implements Serializable {
  private static final long serialVersionUID = 1;

  final byte[] portion;
  final long bad;

  Encoded(byte[] portion, long bad) {
    this.portion = portion;
    this.bad = bad;
  }

  /** Both together, in one portion. */
  Encoded and(Encoded other, String engine, long nowMs) {
    try (TrainingSession session = TrainingSession.part(engine, nowMs)) {
      session.merge(portion);
      session.merge(other.portion);
      return new Encoded(session.portion(), bad + other.bad);
    }
  }
}
