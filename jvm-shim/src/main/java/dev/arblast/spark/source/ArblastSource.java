package dev.arblast.spark.source;

import java.util.Map;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableProvider;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.sources.DataSourceRegister;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * Models and events as tables: {@code format("arblast")}. {@code option("table", …)} says which.
 *
 * <p>Read from a model, {@code load(path)} of a file or of an engine's folder of generations on any file system that Hadoop knows:
 * {@code correlators} (item, indicator, place, correlator, llr), {@code items} (id, properties as JSON), {@code rankings} (item, ranking,
 * value). The generation is chosen at {@code load}. {@code option("partitions", n)} asks for so many tasks.
 *
 * <p>Read from the embedded store of a home, {@code load(home)} with {@code option("app", name)}: {@code events}, in one task.
 *
 * <p>Written to it, {@code mode("append")} and {@code save(home)} with {@code option("app", name)}: {@code events} of the same columns, of
 * which only event, entityType and entityId must be there, and {@code interactions} (user, item, and eventTime if there is one) with
 * {@code option("event", name)}. Tasks check their rows and hand them to the driver, which stores those of all tasks with one durable
 * commit: all or none, and none twice if tasks are repeated. So they must fit the memory of the driver and
 * {@code spark.driver.maxResultSize}; for more, write JSON lines and use {@code arblast import}.
 */
public final class ArblastSource implements TableProvider, DataSourceRegister {
  @Override
  public String shortName() {
    return "arblast";
  }

  @Override
  public StructType inferSchema(CaseInsensitiveStringMap options) {
    return SourceTable.of(options).schema();
  }

  @Override
  public Table getTable(StructType schema, Transform[] partitioning, Map<String, String> properties) {
    return new ArblastTable(new CaseInsensitiveStringMap(properties));
  }
}
