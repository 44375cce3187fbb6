package dev.arblast.spark.source;

import org.apache.spark.sql.connector.read.Batch;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.SupportsPushDownRequiredColumns;
import org.apache.spark.sql.types.StructType;

/** A read of a table, of the columns that a query needs. What partitions are is up to its kinds. */
abstract class ColumnarScan implements SupportsPushDownRequiredColumns, Scan, Batch {
  final SourceTable table;
  private StructType columns;

  ColumnarScan(SourceTable table) {
    this.table = table;
    this.columns = table.schema();
  }

  @Override
  public void pruneColumns(StructType required) {
    columns = required;
  }

  @Override
  public Scan build() {
    return this;
  }

  @Override
  public StructType readSchema() {
    return columns;
  }

  @Override
  public Batch toBatch() {
    return this;
  }
}
