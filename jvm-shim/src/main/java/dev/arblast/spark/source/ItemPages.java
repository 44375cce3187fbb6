package dev.arblast.spark.source;

import dev.arblast.internal.Model;
import dev.arblast.internal.Table;

/** Pages of a table of a model, each of so many items that they have about as many rows as Spark likes in a batch. */
final class ItemPages implements Pages {
  private static final int ROWS = 8192;
  /** Properties may be long. */
  private static final int ITEMS = 1024;

  private final Model model;
  private final int what;
  private final int end;
  private final int step;
  private int next;

  ItemPages(Model model, int what, int first, int end) {
    this.model = model;
    this.what = what;
    this.next = first;
    this.end = end;
    long rowsPerItem = what == Model.CORRELATORS ? model.correlators() / Math.max(1, model.items()) : 1;
    this.step = (int) Math.min(ITEMS, Math.max(1, ROWS / Math.max(1, rowsPerItem)));
  }

  @Override
  public Table next() {
    while (next < end) {
      int after = Math.min(end, next + step);
      Table page = model.table(what, next, after);
      next = after;
      if (page.rows() > 0) {
        return page;
      }
    }
    return null;
  }

  @Override
  public void close() {
    // others use the model, too
  }
}
