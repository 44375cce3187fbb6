package dev.arblast.spark.sql;

import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import scala.Function1;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/**
 * Adds the functions to every session, those of Spark Connect included: {@code --conf
 * spark.sql.extensions=dev.arblast.spark.sql.Extensions}.
 *
 * <p>What Spark offers for functions speaks of its expressions, which differ from version to version. A check of plans is made once for
 * each session, when its first query is about to be analysed; that is the occasion, and the check itself has nothing against any plan.
 */
public final class Extensions extends AbstractFunction1<SparkSessionExtensions, BoxedUnit> {
  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    extensions.injectCheckRule(new Registration());
    return BoxedUnit.UNIT;
  }

  private static final class Registration extends AbstractFunction1<SparkSession, Function1<LogicalPlan, BoxedUnit>> {
    @Override
    public Function1<LogicalPlan, BoxedUnit> apply(SparkSession session) {
      Functions.register(session);
      return new Nothing();
    }
  }

  private static final class Nothing extends AbstractFunction1<LogicalPlan, BoxedUnit> {
    @Override
    public BoxedUnit apply(LogicalPlan plan) {
      return BoxedUnit.UNIT;
    }
  }
}
