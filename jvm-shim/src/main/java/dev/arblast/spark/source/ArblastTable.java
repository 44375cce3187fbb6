package dev.arblast.spark.source;

import java.util.EnumSet;
import java.util.Set;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.catalog.SupportsRead;
import org.apache.spark.sql.connector.catalog.SupportsWrite;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.read.ScanBuilder;
import org.apache.spark.sql.connector.write.LogicalWriteInfo;
import org.apache.spark.sql.connector.write.WriteBuilder;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** A table of a model or of an embedded store. Whether it exists is clear when this is made. */
final class ArblastTable implements SupportsRead, SupportsWrite {
  private final SourceTable table;
  private final CaseInsensitiveStringMap options;
  /** Of a table of a model. */
  private final ModelFile model;
  /** Of a table of an embedded store. */
  private final String home;

  ArblastTable(CaseInsensitiveStringMap options) {
    this.table = SourceTable.of(options);
    this.options = options;
    String location = options.get("path");
    if (location == null) {
      throw new IllegalArgumentException(
          "format(\"arblast\") needs a path: load(…) or save(…) of " + (table.isOfModel() ? "a model" : "the home of an embedded store"));
    }
    boolean isOfModel = table.isOfModel();
    this.model = isOfModel ? ModelFile.locate(location, SparkSession.active().sparkContext().hadoopConfiguration()) : null;
    this.home = isOfModel ? null : Home.check(location, needed("app"));
  }

  /** The value of an option that must be there. */
  private String needed(String name) {
    String value = options.get(name);
    if (value == null || value.isEmpty()) {
      throw new IllegalArgumentException("table " + table.label() + " needs option(\"" + name + "\", …)");
    }
    return value;
  }

  @Override
  public String name() {
    return "arblast " + table.label() + " of " + options.get("path");
  }

  @Override
  @SuppressWarnings("deprecation") // what replaces it is not in Spark 3.4
  public StructType schema() {
    return table.schema();
  }

  /** Also what a table then refuses: Spark's own refusal would say that there is no such source. */
  @Override
  public Set<TableCapability> capabilities() {
    return EnumSet.of(TableCapability.BATCH_READ, TableCapability.BATCH_WRITE, TableCapability.ACCEPT_ANY_SCHEMA);
  }

  /** The options are those that made the table: where SQL names a view of it, Spark gives none here. */
  @Override
  public ScanBuilder newScanBuilder(CaseInsensitiveStringMap none) {
    if (table.isOfModel()) {
      return new ModelScan(table, model, options.getInt("partitions", SparkSession.active().sparkContext().defaultParallelism()));
    }
    if (table != SourceTable.EVENTS) {
      throw new IllegalArgumentException("table " + table.label() + " can only be written: to read, take table events");
    }
    return new EventScan(home, needed("app"));
  }

  @Override
  public WriteBuilder newWriteBuilder(LogicalWriteInfo info) {
    if (table.isOfModel()) {
      throw new IllegalArgumentException("table " + table.label() + " can only be read: a model is made by training");
    }
    StoredColumns columns =
        table == SourceTable.EVENTS
            ? StoredColumns.ofEvents(info.schema())
            : StoredColumns.ofInteractions(info.schema(), needed("event"));
    return new EventWrite(home, needed("app"), columns);
  }
}
