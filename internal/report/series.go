package report

// series is a figure that every block has: a column of the table and, except for the last,
// a row of dots or marks in the chart.
type series struct {
	label string
	of    func(row) float64
	// shape is how the chart draws it, meaning what its legend calls it.
	shape   shape
	meaning string
}

// shape is a class of style.css.
type shape string

const (
	dot  shape = "dot"
	mark shape = "mark"
)

var (
	measured  = series{"measured", func(r row) float64 { return r.measured.Largest.Difference }, dot, "measured, float64"}
	certified = series{"certified", func(r row) float64 { return r.certified.Bound.Value + r.measured.Largest.Slack }, mark, "certified"}
	tolerance = series{"tolerance", func(r row) float64 { return r.measured.Tolerance.Value }, mark, "tolerance"}
	inFloat32 = series{"float32", func(r row) float64 { return r.measured.Float32.Largest.Difference }, dot, "float32 run"}
	bound     = series{label: "bound", of: func(r row) float64 { return r.measured.Float32.Bound }}
)

// class is what style.css calls it in the chart.
func (s series) class() string { return string(s.shape) + " " + s.label }
