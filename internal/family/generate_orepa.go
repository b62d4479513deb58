package family

import (
	"fmt"
	"slices"

	"repfuse/internal/op"
)

// orepa(N, VECTOR, ORIGIN, AVG_CONV, AVG_AVG, PFIR_CONV, PRIOR, IDCONV1, ID_TENSOR,
// CONV2, 1X1, GCONV_DW, GCONV_PW): the kernel that OREPA's block makes of its
// parameters at every step of training (JUGGHM/OREPA_CVPR2022, weight_gen):
//
//	W[o,i,t] = v0[o]·origin[o,i,t] + v1[o]·avg_conv[o,i]·avg_avg[t]
//	         + v2[o]·pfir_conv[o,i]·prior[o,t]
//	         + v3[o]·Σ_m conv2[o,m,t]·(idconv1 + id_tensor)[m,i]
//	         + v4[o]·1x1[o,i]·δ(t, centre) + v5[o]·separable[o,i,t]
//
// with v the rows of the vector. With g
// groups, e the expansion, and c, j, a the group, its input and its output,
//
//	separable[c·O/g + a, j, t] = Σ_s dw[(c·I/g + j)·e + s, t] · pw[a·g + c, j·e + s]
//
// (the reference reads the rows of pw interleaved). N is the place in a chain of
// kernels: all but the first are turned by 180° (see turned).
func orepa(a []argument) ([]int, formula, error) {
	if len(a) != 13 {
		return nil, nil, fmt.Errorf("has %d arguments, want 13", len(a))
	}
	return newOREPA(a)
}

// orepa_repvgg(N, VECTOR, …, CONV2, GCONV_DW, GCONV_PW): the kernel of the 3×3 in
// OREPA's RepVGG block (blocks_repvgg.py), which is the same without the 1×1, so that
// the separable part is in v4.
func orepaRepVGG(a []argument) ([]int, formula, error) {
	if len(a) != 12 {
		return nil, nil, fmt.Errorf("has %d arguments, want 12", len(a))
	}
	shape, f, err := newOREPA(slices.Insert(slices.Clone(a), 10, argument{}))
	return shape, func(v [][]float64) []float64 { return f(slices.Insert(v, 10, nil)) }, err
}

func newOREPA(a []argument) ([]int, formula, error) {
	o := orepaKernel{turn: a[0].word != "0"}
	for k, to := range []**op.Param{&o.vector, &o.origin, &o.avgConv, &o.avg, &o.pfir, &o.prior, &o.first, &o.id, &o.second, &o.point, &o.dw, &o.pw} {
		*to = a[k+1].tensor
	}
	if err := o.fit(); err != nil {
		return nil, nil, err
	}
	return o.origin.Shape, o.values, nil
}

// orepaKernel is the parameters by their part in the formula.
type orepaKernel struct {
	vector, origin, avgConv, avg, pfir, prior, first, id, second, point, dw, pw *op.Param
	turn                                                                        bool

	out, width, taps, groups, mid, expand int
	kernel                                []int
}

// fit finds the sizes and holds every shape to them.
func (o *orepaKernel) fit() error {
	s := o.origin.Shape
	if len(s) != 4 || len(o.second.Shape) != 4 || len(o.first.Shape) != 4 || len(o.dw.Shape) != 4 || len(o.vector.Shape) != 2 {
		return fmt.Errorf("%s has shape %v, want [O, I/g, k, k]", o.origin.Key, s)
	}
	o.out, o.width, o.kernel, o.taps = s[0], s[1], s[2:], s[2]*s[3]
	o.mid = o.second.Shape[1]
	if o.mid == 0 || o.first.Shape[0]%o.mid != 0 {
		return fmt.Errorf("%s has shape %v, want a multiple of %d rows as %s says", o.first.Key, o.first.Shape, o.mid, o.second.Key)
	}
	o.groups = o.first.Shape[0] / o.mid
	if o.width == 0 || o.groups == 0 || o.dw.Shape[0]%(o.width*o.groups) != 0 || o.out%o.groups != 0 {
		return fmt.Errorf("%s has shape %v, want a multiple of %d rows", o.dw.Key, o.dw.Shape, o.width*o.groups)
	}
	o.expand = o.dw.Shape[0] / (o.width * o.groups)
	rows := 5
	if o.point != nil {
		rows = 6
	}
	if o.vector.Shape[0] < rows {
		return fmt.Errorf("%s has shape %v, want at least %d rows", o.vector.Key, o.vector.Shape, rows)
	}
	for _, c := range []struct {
		p     *op.Param
		shape []int
	}{
		{o.vector, []int{o.vector.Shape[0], o.out}}, {o.avgConv, []int{o.out, o.width, 1, 1}}, {o.avg, o.kernel},
		{o.pfir, []int{o.out, o.width, 1, 1}}, {o.prior, []int{o.out, s[2], s[3]}},
		{o.first, []int{o.groups * o.mid, o.width, 1, 1}}, {o.id, o.first.Shape}, {o.second, []int{o.out, o.mid, s[2], s[3]}},
		{o.point, []int{o.out, o.width, 1, 1}}, {o.dw, []int{o.dw.Shape[0], 1, s[2], s[3]}},
		{o.pw, []int{o.out, o.width * o.expand, 1, 1}},
	} {
		if c.p != nil && fmt.Sprint(c.p.Shape) != fmt.Sprint(c.shape) {
			return fmt.Errorf("%s has shape %v, want %v", c.p.Key, c.p.Shape, c.shape)
		}
	}
	return nil
}

func (o *orepaKernel) values(v [][]float64) []float64 {
	w := make([]float64, o.out*o.width*o.taps)
	for out := range o.out {
		for i := range o.width {
			o.plane(w[(out*o.width+i)*o.taps:][:o.taps], v[1:], out, i)
		}
	}
	if o.turn {
		w = turn(w, o.origin.Shape)
	}
	return w
}

// plane is the kernel of one output and one input channel of its group.
func (o *orepaKernel) plane(w []float64, v [][]float64, out, i int) {
	vector, origin, avgConv, avg, pfir, prior := v[0], v[1], v[2], v[3], v[4], v[5]
	first, id, second, point, dw, pw := v[6], v[7], v[8], v[9], v[10], v[11]
	at := out*o.width + i
	row := func(n int) float64 { return vector[n*o.out+out] }
	group, a := out/(o.out/o.groups), out%(o.out/o.groups)
	last := 4
	if o.point != nil {
		last = 5
		w[o.kernel[0]/2*o.kernel[1]+o.kernel[1]/2] = row(4) * point[at]
	}
	for t := range o.taps {
		sum := float64(row(0)*origin[at*o.taps+t]) + float64(row(1)*avgConv[at]*avg[t]) + float64(row(2)*pfir[at]*prior[out*o.taps+t])
		serial := 0.0
		for m := range o.mid {
			k := (group*o.mid+m)*o.width + i
			serial += float64(second[(out*o.mid+m)*o.taps+t] * (first[k] + id[k]))
		}
		separable := 0.0
		for s := range o.expand {
			separable += float64(dw[((group*o.width+i)*o.expand+s)*o.taps+t] * pw[((a*o.groups+group)*o.width+i)*o.expand+s])
		}
		w[t] += sum + float64(row(3)*serial) + float64(row(last)*separable)
	}
}
