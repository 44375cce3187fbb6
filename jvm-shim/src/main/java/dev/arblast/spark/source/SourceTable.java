package dev.arblast.spark.source;

import dev.arblast.internal.Model;
import java.util.Locale;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** What {@code option("table", …)} may name, and its columns in the order of the native tables. */
enum SourceTable {
  CORRELATORS(Model.CORRELATORS) {
    @Override
    StructType schema() {
      return text("item").add("indicator", STRING, false).add("place", DataTypes.IntegerType, false).add("correlator", STRING, false)
          .add("llr", DataTypes.DoubleType, false);
    }
  },
  ITEMS(Model.ITEMS) {
    @Override
    StructType schema() {
      return text("id").add("properties", STRING, false);
    }
  },
  RANKINGS(Model.RANKINGS) {
    @Override
    StructType schema() {
      return text("item").add("ranking", STRING, false).add("value", DataTypes.DoubleType, false);
    }
  },
  EVENTS(-1) {
    @Override
    StructType schema() {
      return text("eventId").add("event", STRING, false).add("entityType", STRING, false).add("entityId", STRING, false)
          .add("targetEntityType", STRING).add("targetEntityId", STRING).add("properties", STRING, false)
          .add("eventTime", DataTypes.TimestampType, false).add("creationTime", DataTypes.TimestampType, false);
    }
  },
  INTERACTIONS(-1) {
    @Override
    StructType schema() {
      return text("user").add("item", STRING, false);
    }
  };

  private static final DataType STRING = DataTypes.StringType;

  /** The number of a table of a model; -1: it is in an embedded store. */
  final int what;

  SourceTable(int what) {
    this.what = what;
  }

  abstract StructType schema();

  /** As users write it. */
  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  boolean isOfModel() {
    return what >= 0;
  }

  static SourceTable of(CaseInsensitiveStringMap options) {
    String name = options.get("table");
    for (SourceTable table : values()) {
      if (table.name().equalsIgnoreCase(name)) {
        return table;
      }
    }
    throw new IllegalArgumentException(
        "format(\"arblast\") needs option(\"table\", …): correlators, items or rankings of a model, events or interactions of an embedded"
            + " store" + (name == null ? "" : "; got \"" + name + "\""));
  }

  private static StructType text(String first) {
    return new StructType().add(first, DataTypes.StringType, false);
  }
}
