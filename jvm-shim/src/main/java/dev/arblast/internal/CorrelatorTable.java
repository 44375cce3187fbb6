package dev.arblast.internal;

/** The rows of a table of correlators, which come by item, indicator and place. */
public final class CorrelatorTable {
  private CorrelatorTable() {}

  /** Told of each item and indicator the rows of its correlators, strongest first. */
  public interface Visitor {
    void row(String item, String indicator, Table.Texts correlators, Table.Numbers llr, int firstRow, int endRow);
  }

  /** Visits the rows of each item and indicator. */
  public static void visit(Table rows, Visitor visitor) {
    Table.Texts items = rows.texts();
    Table.Texts indicators = rows.texts();
    Table.Numbers places = rows.numbers();
    Table.Texts correlators = rows.texts();
    Table.Numbers llr = rows.numbers();
    int row = 0;
    while (row < rows.rows()) {
      int first = row;
      do {
        row++;
      } while (row < rows.rows() && places.get(row) > 1);
      visitor.row(items.get(first), indicators.get(first), correlators, llr, first, row);
    }
  }
}
