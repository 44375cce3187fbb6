package dev.arblast.spark.source;

import dev.arblast.internal.Table;

/** A native table, part by part. */
interface Pages extends AutoCloseable {
  /** The next part, which has rows; null: that was all. */
  Table next();

  @Override
  void close();
}
